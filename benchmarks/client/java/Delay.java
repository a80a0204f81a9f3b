import java.nio.ByteBuffer;
import java.util.Map;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** Sends at a fixed rate and measures the time until the listener has each message. The body has the time of the send. */
final class Delay implements Worker.Work {
    private final DefaultMQPushConsumer consumer;
    private final ScheduledExecutorService timer = Executors.newSingleThreadScheduledExecutor();

    Delay(String nameServers, Map<String, String> options, Senders senders) throws Exception {
        AtomicBoolean running = new AtomicBoolean();
        consumer = new DefaultMQPushConsumer(options.get("group"));
        consumer.setNamesrvAddr(nameServers);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe(options.get("topic"), "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            long now = System.nanoTime();
            for (MessageExt message : messages) Worker.METER.add(now - ByteBuffer.wrap(message.getBody()).getLong());
            if (!running.getAndSet(true)) Worker.say("\"event\":\"running\"");
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        byte[] padding = Senders.body(options);
        long everyNanos = 1_000_000_000L / Long.parseLong(options.get("perSecond"));
        timer.scheduleAtFixedRate(() -> send(senders, options.get("topic"), padding), 0, everyNanos, TimeUnit.NANOSECONDS);
    }

    private static void send(Senders senders, String topic, byte[] padding) {
        byte[] body = padding.clone();
        ByteBuffer.wrap(body).putLong(System.nanoTime());
        try {
            // Does not wait: a slow answer must not delay the next message.
            senders.producer.send(new Message(topic, body), new SendCallback() {
                @Override
                public void onSuccess(SendResult result) {
                    // The listener measures the time.
                }

                @Override
                public void onException(Throwable e) {
                    Worker.METER.fail();
                }
            });
        } catch (Exception e) {
            Worker.METER.fail();
        }
    }

    @Override
    public void close() throws Exception {
        timer.shutdown();
        timer.awaitTermination(10, TimeUnit.SECONDS);
        consumer.shutdown();
    }
}
