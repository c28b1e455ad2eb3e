// The engine's files as the query client wants them: a snapshot and an empty file of every table.
#ifndef OTO_API_QUERY_SOURCE_H
#define OTO_API_QUERY_SOURCE_H

#include "engine/engine.h"
#include "query/query_client.h"

// engine: borrowed as long as the source is used.
struct oto_query_source oto_query_source_of_engine(struct oto_engine *engine);
// The names of the tables for SQL, in the order of enum oto_table.
void oto_query_tables_fill(struct oto_query_table tables[OTO_TABLE_COUNT]);

// The path of otolith-query: OTOLITH_QUERY_PROGRAM, or beside program_path.
void oto_query_program_find(const char *program_path, char *output, size_t output_size);

#endif
