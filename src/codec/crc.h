// Checksums: CRC-32 (gzip, Parquet pages) and CRC-32C (the write-ahead log). Hardware where there
// is some, chosen at run time; a plain C path gives the same values.
#ifndef OTO_CODEC_CRC_H
#define OTO_CODEC_CRC_H

#include "base/bytes.h"

// crc: 0 to begin, or the value so far. oto_crc32("123456789") = 0xCBF43926.
uint32_t oto_crc32(uint32_t crc, const void *data, size_t size);
// oto_crc32c("123456789") = 0xE3069283.
uint32_t oto_crc32c(uint32_t crc, const void *data, size_t size);

// The same by tables alone: what runs where the machine has no instruction for it.
uint32_t oto_crc32_plain(uint32_t crc, const void *data, size_t size);
uint32_t oto_crc32c_plain(uint32_t crc, const void *data, size_t size);

#endif
