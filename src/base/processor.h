// What a processor can do that not all can. Code for it stands beside a plain form with the same
// results; with OTO_PLAIN only that is compiled, and tests of what has it run both ways.
#ifndef OTO_BASE_PROCESSOR_H
#define OTO_BASE_PROCESSOR_H

#if !defined(OTO_PLAIN)
#if defined(__x86_64__)
#define OTO_X86_64 1 // more than SSE2 is asked for at run time
#endif
#if defined(__SSE2__)
#define OTO_SSE2 1
#endif
#if defined(__ARM_NEON)
#define OTO_NEON 1
#endif
#if defined(__ARM_FEATURE_CRC32)
#define OTO_ARM_CRC32 1
#endif
#endif

#endif
