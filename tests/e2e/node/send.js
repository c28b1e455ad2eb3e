// Sends 50 logs, 50 spans and a counter with the OpenTelemetry JS SDK: node send.js grpc|http|proto URL
'use strict';
const [protocol, url] = process.argv.slice(2);
const { resourceFromAttributes } = require('@opentelemetry/resources');
const { LoggerProvider, BatchLogRecordProcessor } = require('@opentelemetry/sdk-logs');
const { MeterProvider, PeriodicExportingMetricReader } = require('@opentelemetry/sdk-metrics');
const { NodeTracerProvider, BatchSpanProcessor } = require('@opentelemetry/sdk-trace-node');
const { OTLPLogExporter } = require(`@opentelemetry/exporter-logs-otlp-${protocol}`);
const { OTLPTraceExporter } = require(`@opentelemetry/exporter-trace-otlp-${protocol}`);
const { OTLPMetricExporter } = require(`@opentelemetry/exporter-metrics-otlp-${protocol}`);

const options = (signal) => ({ url: protocol === 'grpc' ? url : `${url}/v1/${signal}` });
const resource = resourceFromAttributes({ 'service.name': 'node' });

async function main() {
  const spans = new NodeTracerProvider({
    resource,
    spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter(options('traces')))],
  });
  const logExporter = new OTLPLogExporter(options('logs'));
  let processor;
  try {
    processor = new BatchLogRecordProcessor({ exporter: logExporter });
  } catch {
    processor = new BatchLogRecordProcessor(logExporter);
  }
  const logs = new LoggerProvider({ resource, processors: [processor] });
  const metrics = new MeterProvider({
    resource,
    readers: [new PeriodicExportingMetricReader({
      exporter: new OTLPMetricExporter(options('metrics')),
      exportIntervalMillis: 3600000,
    })],
  });
  const tracer = spans.getTracer('t');
  const logger = logs.getLogger('l');
  const counter = metrics.getMeter('m').createCounter('orders');
  for (let i = 0; i < 50; i++) {
    const span = tracer.startSpan('work', { attributes: { i } });
    logger.emit({ severityNumber: 9, body: `order ${i}`, attributes: { i, list: [1, 'two', true] } });
    counter.add(1, { kind: 'a' });
    span.end();
  }
  await spans.shutdown();
  await logs.shutdown();
  await metrics.shutdown();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
