// The parts of otolith export: which rows are sent (export_rows.c), how far it came
// (export_state.c).
//
// Rows go out table by table, in windows of event time, oldest first. The state file is there
// before the first request; when all requests of a window are taken, its end is noted in it, and an
// export that was interrupted goes on there. So every row is sent at least once, and those of the
// window that was interrupted may come twice.
#ifndef OTO_APPS_OTOLITH_EXPORT_H
#define OTO_APPS_OTOLITH_EXPORT_H

#include "ask.h"
#include "forward/otlp_sender.h"
#include "options.h"
#include "otlp/otlp_encode.h"
#include "telemetry/tables.h"

struct oto_export_range {
    int64_t from_us, until_us; // INT64_MIN, INT64_MAX: open
};

// --- state ---

struct oto_export_state {
    char path[4096];
    char key[33]; // what export it belongs to
    struct oto_export_range range;
    int64_t begun_us;                 // when the range was settled
    int64_t done_us[OTO_TABLE_COUNT]; // rows before are taken; INT64_MIN: none, INT64_MAX: all
    uint64_t rows;                    // taken
    uint64_t rejected;                // of these: in requests that were taken otherwise
    char message[256];                // why, the first time; else the endpoint's last warning
};

// Where the state of an export is kept when nothing is said: below XDG_STATE_HOME, else
// ~/.local/state. OTO_NOT_FOUND without either.
OTO_MUST_CHECK enum oto_status oto_export_state_path(const char *key, char *output,
                                                     size_t output_size, struct oto_error *err);
// Reads the file into state (path and key are set): OTO_END when there is none. OTO_INVALID: it is
// another export's, or none at all.
OTO_MUST_CHECK enum oto_status oto_export_state_read(struct oto_export_state *state,
                                                     struct oto_error *err);
// Removes the file, of whichever export it is the state. OTO_INVALID: it is none.
OTO_MUST_CHECK enum oto_status oto_export_state_forget(const struct oto_export_state *state,
                                                       struct oto_error *err);
// Puts the file in place, durably.
OTO_MUST_CHECK enum oto_status oto_export_state_write(const struct oto_export_state *state,
                                                      struct oto_error *err);
void oto_export_state_remove(const struct oto_export_state *state);

// --- rows ---

struct oto_export {
    struct oto_ask *ask;
    struct oto_otlp_sender *sender;
    struct oto_export_state *state;
    uint64_t rejected_before; // by the runs that this one goes on with
    const char *where;        // SQL; NULL: all
    int (*is_stopped)(void *state);
    struct oto_progress *progress;
    struct oto_schemas *schemas; // flat
    struct oto_otlp_encoder *encoder;
    struct oto_codec *codec;
    struct oto_buffer sql, answer, message;
    enum oto_status answer_status; // of taking it
};

OTO_MUST_CHECK enum oto_status oto_export_init(struct oto_export *export, struct oto_error *err);
void oto_export_release(struct oto_export *export); // what init made
// How many rows of a table are still to be sent.
OTO_MUST_CHECK enum oto_status oto_export_count(struct oto_export *export, enum oto_table table,
                                                uint64_t *ret_rows, struct oto_error *err);
// Sends them; rows: as counted.
OTO_MUST_CHECK enum oto_status oto_export_send(struct oto_export *export, enum oto_table table,
                                               uint64_t rows, struct oto_error *err);
// Brings rejected and message of the state to what the endpoint has said up to now.
void oto_export_note_rejected(struct oto_export *export);

#endif
