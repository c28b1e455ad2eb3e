// Strings as JSON, for every writer of it.
#ifndef OTO_BASE_JSON_TEXT_H
#define OTO_BASE_JSON_TEXT_H

#include "base/bytes.h"

// Appends text as a JSON string, quotes included, escaped as RFC 8259 asks and no further: '"',
// '\\' and what is below U+0020 (\b \f \n \r \t, else \u00xx). Bytes from 0x80 on are copied: text
// must be UTF-8. OTO_NO_MEMORY, OTO_TOO_LARGE (output then holds a part).
OTO_MUST_CHECK enum oto_status oto_json_escape(struct oto_buffer *output, struct oto_bytes text);

#endif
