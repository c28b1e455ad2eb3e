// The three signals of OTLP and the seven tables they are kept in.
#ifndef OTO_TELEMETRY_SIGNAL_H
#define OTO_TELEMETRY_SIGNAL_H

enum oto_signal {
    OTO_SIGNAL_LOGS = 0,
    OTO_SIGNAL_TRACES = 1,
    OTO_SIGNAL_METRICS = 2,
    OTO_SIGNAL_COUNT = 3,
};

enum oto_table {
    OTO_TABLE_LOGS = 0,
    OTO_TABLE_TRACES,
    OTO_TABLE_GAUGE,
    OTO_TABLE_SUM,
    OTO_TABLE_HISTOGRAM,
    OTO_TABLE_EXPONENTIAL_HISTOGRAM,
    OTO_TABLE_SUMMARY,
    OTO_TABLE_COUNT,
};

#endif
