/*
 * Capture: Debezium's embedded engines, one per properties file, in one JVM, until SIGTERM.
 *
 *     java -cp JARS Capture a.properties b.properties ...
 *
 * Keys that begin with "x." are ours, the rest go to the engine:
 *     x.out      file: one line per record {"topic":..,"key":..,"value":..,"headers":{..}}; absent = records are only counted
 *     x.schemas  true: {"schema","payload"} in key and value (default false)
 *     x.kafka    bootstrap servers: records are produced there instead (topics, keys, values and headers as Connect would)
 *     x.count    prints the figures when so many records have come
 *
 * Lines on standard output, all JSON: {"engine":"a.properties","ended":"count"|"stop"|"error","records":..,"seconds":..,"cpu_s":..,"error":..}
 * where seconds and cpu_s (of the whole JVM) count from the first record to the last.
 */
import io.debezium.engine.ChangeEvent;
import io.debezium.engine.DebeziumEngine;
import io.debezium.engine.Header;
import io.debezium.engine.format.Json;
import io.debezium.engine.format.KeyValueHeaderChangeEventFormat;
import java.io.BufferedWriter;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStreamWriter;
import java.io.Reader;
import java.io.UncheckedIOException;
import java.io.Writer;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Properties;
import java.util.concurrent.Future;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;

public class Capture implements DebeziumEngine.ChangeConsumer<ChangeEvent<String, String>> {
    private final String name;
    private final long goal;
    private final Writer out;
    private final KafkaProducer<String, String> producer;
    private final DebeziumEngine<?> engine;
    private final Thread thread;
    private long count, firstNs, lastNs, firstCpu, lastCpu;
    private boolean reported;

    private static double cpu() {
        return ((com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean()).getProcessCpuTime() / 1e9;
    }

    private static String quote(String s) {
        return "\"" + s.replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", " ").replace("\r", " ").replace("\t", " ") + "\"";
    }

    private static String own(Properties p, String key, String otherwise) {
        Object value = p.remove("x." + key);
        return value == null ? otherwise : value.toString().trim();
    }

    private static KafkaProducer<String, String> producer(String bootstrap) {
        if (bootstrap == null)
            return null;
        // Connect's own settings of a source task's producer.
        Properties p = new Properties();
        p.put("bootstrap.servers", bootstrap);
        p.put("acks", "all");
        p.put("enable.idempotence", "true");
        p.put("max.in.flight.requests.per.connection", "5");
        p.put("delivery.timeout.ms", "2147483647");
        p.put("max.request.size", "16000000");
        return new KafkaProducer<>(p, new StringSerializer(), new StringSerializer());
    }

    @SuppressWarnings({"unchecked", "rawtypes"})
    Capture(String file) throws IOException {
        Properties p = new Properties();
        try (Reader r = Files.newBufferedReader(Path.of(file))) {
            p.load(r);
        }
        name = file;
        String path = own(p, "out", null), schemas = own(p, "schemas", "false");
        goal = Long.parseLong(own(p, "count", "0"));
        producer = producer(own(p, "kafka", null));
        out = path == null ? null : new BufferedWriter(new OutputStreamWriter(new FileOutputStream(path), StandardCharsets.UTF_8), 1 << 20);
        p.putIfAbsent("key.converter.schemas.enable", schemas);
        p.putIfAbsent("value.converter.schemas.enable", schemas);
        p.putIfAbsent("header.converter.schemas.enable", "false");
        engine = DebeziumEngine.create(KeyValueHeaderChangeEventFormat.of(Json.class, Json.class, Json.class)).using(p)
                .using((ok, message, error) -> report(ok ? "stop" : "error", ok ? "" : message + (error == null ? "" : " " + error)))
                .notifying((DebeziumEngine.ChangeConsumer) this).build();
        thread = new Thread(engine, file);
        thread.setDaemon(true);
    }

    private synchronized void report(String how, String error) {
        if (reported)
            return;
        reported = true;
        System.out.printf(Locale.ROOT, "{\"engine\":%s,\"ended\":\"%s\",\"records\":%d,\"seconds\":%.3f,\"cpu_s\":%.3f,\"error\":%s}%n", quote(name), how,
                count, (lastNs - firstNs) / 1e9, (lastCpu - firstCpu) / 1e3, quote(error));
        System.out.flush();
    }

    private static String headers(ChangeEvent<String, String> event) {
        StringBuilder text = new StringBuilder();
        for (Header<Object> header : ((ChangeEvent<?, ?>) event).<Object>headers())
            text.append(text.length() == 0 ? "" : ",").append(quote(header.getKey())).append(':').append(header.getValue());
        return text.toString();
    }

    private static ProducerRecord<String, String> record(ChangeEvent<String, String> event) {
        ProducerRecord<String, String> record = new ProducerRecord<>(event.destination(), event.key(), event.value());
        for (Header<Object> header : ((ChangeEvent<?, ?>) event).<Object>headers())
            record.headers().add(header.getKey(), String.valueOf(header.getValue()).getBytes(StandardCharsets.UTF_8));
        return record;
    }

    @Override
    public void handleBatch(List<ChangeEvent<String, String>> events, DebeziumEngine.RecordCommitter<ChangeEvent<String, String>> committer)
            throws InterruptedException {
        if (firstNs == 0) {
            firstNs = System.nanoTime();
            firstCpu = (long) (cpu() * 1e3);
        }
        try {
            List<Future<?>> sent = new ArrayList<>();
            for (ChangeEvent<String, String> event : events) {
                if (producer != null)
                    sent.add(producer.send(record(event)));
                if (out != null)
                    out.write("{\"topic\":" + quote(event.destination()) + ",\"key\":" + event.key() + ",\"value\":" + event.value() + ",\"headers\":{"
                            + headers(event) + "}}\n");
            }
            // Connect commits offsets behind what the broker has; so do we, batch by batch.
            for (Future<?> each : sent)
                each.get();
            for (ChangeEvent<String, String> event : events)
                committer.markProcessed(event);
            committer.markBatchFinished();
            if (out != null)
                out.flush();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (java.util.concurrent.ExecutionException e) {
            throw new IllegalStateException(e);
        }
        count += events.size();
        lastNs = System.nanoTime();
        lastCpu = (long) (cpu() * 1e3);
        if (goal > 0 && count >= goal)
            report("count", "");
    }

    public static void main(String[] files) throws Exception {
        List<Capture> all = new ArrayList<>();
        for (String file : files)
            all.add(new Capture(file));
        for (Capture each : all)
            each.thread.start();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> all.forEach(Capture::stop)));
        Thread.currentThread().join();
    }

    private void stop() {
        try {
            engine.close();
            thread.join(20000);
            if (out != null)
                out.close();
        } catch (IOException | InterruptedException | IllegalStateException e) {
            report("error", e.toString()); // an engine that has ended by itself has said why already
        }
    }
}
