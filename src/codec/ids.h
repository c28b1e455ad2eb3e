// Where ids repeat each other, as matches for a compressor (codec/lines.h has the shape of these).
// Ids are digits in columns of one width, random but for those that come again as a whole, as the
// parents of spans do, and for beginnings that count or tell the time, which are the id before's.
// Nothing else is worth a search. Core: no system call, no library.
#ifndef OTO_CODEC_IDS_H
#define OTO_CODEC_IDS_H

#include "codec/lines.h"

// Appends the matches of the content, head_size bytes of another kind and then ids of id_size bytes
// each (16 or 32), to an array of struct oto_lines_match, ends of blocks among them: the last entry
// is one. OTO_TOO_LARGE for content of 1 GiB or more, OTO_INVALID for a head that is longer or ids
// of another size, OTO_NO_MEMORY. Ownership: borrows.
OTO_MUST_CHECK enum oto_status oto_ids_match(struct oto_bytes content, size_t head_size,
                                             unsigned id_size, struct oto_buffer *matches);

#endif
