import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;

/** A producer and the loops that send with it. */
final class Senders implements AutoCloseable {
    private static final int BATCH = 500;
    private static final int FILL_THREADS = 4;
    private static final long PAUSE_AFTER_FAILURE_MS = 100;
    final DefaultMQProducer producer = new DefaultMQProducer("bench-producer");
    private volatile boolean running;

    Senders(String nameServers) throws Exception {
        producer.setNamesrvAddr(nameServers);
        producer.setCompressMsgBodyOverHowmuch(Integer.MAX_VALUE);
        producer.start();
    }

    /** mode=threads: one thread for each message in flight, which waits for the answer. mode=async: one thread and callbacks. */
    Worker.Work send(Map<String, String> options) {
        String topic = options.get("topic");
        byte[] body = body(options);
        int inFlight = Integer.parseInt(options.get("inFlight"));
        boolean async = "async".equals(options.get("mode"));
        running = true;
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < (async ? 1 : inFlight); i++) {
            threads.add(new Thread(async ? () -> sendAsync(topic, body, inFlight) : () -> sendSync(topic, body)));
        }
        threads.forEach(Thread::start);
        Worker.say("\"event\":\"running\"");
        return () -> {
            running = false;
            for (Thread thread : threads) thread.join();
        };
    }

    private void sendSync(String topic, byte[] body) {
        while (running) {
            long begin = System.nanoTime();
            try {
                producer.send(new Message(topic, body));
                Worker.METER.add(System.nanoTime() - begin);
            } catch (Exception e) {
                failed(e);
            }
        }
    }

    private void sendAsync(String topic, byte[] body, int inFlight) {
        Semaphore permits = new Semaphore(inFlight);
        while (running) {
            permits.acquireUninterruptibly();
            long begin = System.nanoTime();
            try {
                producer.send(new Message(topic, body), new SendCallback() {
                    @Override
                    public void onSuccess(SendResult result) {
                        Worker.METER.add(System.nanoTime() - begin);
                        permits.release();
                    }

                    @Override
                    public void onException(Throwable e) {
                        Worker.METER.fail();
                        permits.release();
                    }
                });
            } catch (Exception e) {
                permits.release();
                failed(e);
            }
        }
        permits.acquireUninterruptibly(inFlight);
    }

    private static void failed(Exception e) {
        Worker.METER.fail();
        System.err.println(e);
        try {
            Thread.sleep(PAUSE_AFTER_FAILURE_MS);
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    /** Sends this many messages in batches, as fast as possible. */
    void fill(Map<String, String> options) throws Exception {
        Message message = new Message(options.get("topic"), body(options));
        message.setWaitStoreMsgOK(true);
        AtomicInteger left = new AtomicInteger(Integer.parseInt(options.get("messages")));
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < FILL_THREADS; i++) threads.add(new Thread(() -> fill(message, left)));
        threads.forEach(Thread::start);
        for (Thread thread : threads) thread.join();
        Worker.say("\"event\":\"filled\"");
    }

    private void fill(Message message, AtomicInteger left) {
        while (true) {
            int before = left.getAndAdd(-BATCH);
            if (before <= 0) return;
            int many = Math.min(BATCH, before);
            for (boolean sent = false; !sent;) {
                try {
                    producer.send(copies(message, many));
                    sent = true;
                } catch (Exception e) {
                    failed(e);
                }
            }
        }
    }

    private static List<Message> copies(Message message, int many) {
        List<Message> all = new ArrayList<>(many);
        for (int i = 0; i < many; i++) all.add(new Message(message.getTopic(), message.getBody()));
        return all;
    }

    static byte[] body(Map<String, String> options) {
        return String.join("", Collections.nCopies(Integer.parseInt(options.get("bytes")), "x")).getBytes();
    }

    @Override
    public void close() {
        producer.shutdown();
    }
}
