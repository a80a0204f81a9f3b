import java.nio.charset.StandardCharsets;
import java.util.List;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * Produce NAME_SERVERS TOPIC COUNT INTERVAL_MS WORD
 * Sends messages `WORD 0`, `WORD 1` and so on. Prints `queues N`, then for each attempt `sent I BROKER QUEUE` or
 * `failed I REASON`, and at the end `done SENT FAILED`. Retries each failed message for up to 60 s.
 */
public final class Produce {
    public static void main(String[] args) throws Exception {
        int count = Integer.parseInt(args[2]);
        long interval = Long.parseLong(args[3]);
        DefaultMQProducer producer = new DefaultMQProducer("interop-producer-" + args[1]);
        producer.setNamesrvAddr(args[0]);
        producer.setPollNameServerInterval(1000);
        producer.setSendMsgTimeout(3000);
        producer.start();
        int failed = 0;
        try {
            List<MessageQueue> queues = producer.fetchPublishMessageQueues(args[1]);
            System.out.println("queues " + queues.size());
            for (int i = 0; i < count; i++) {
                failed += send(producer, args[1], args[4], i);
                if (interval > 0) Thread.sleep(interval);
            }
            System.out.println("done " + count + " " + failed);
        } finally {
            producer.shutdown();
        }
    }

    private static int send(DefaultMQProducer producer, String topic, String word, int number) throws Exception {
        long end = System.currentTimeMillis() + 60_000;
        int failed = 0;
        while (true) {
            try {
                byte[] body = (word + " " + number).getBytes(StandardCharsets.UTF_8);
                SendResult result = producer.send(new Message(topic, body));
                MessageQueue queue = result.getMessageQueue();
                System.out.println("sent " + number + " " + queue.getBrokerName() + " " + queue.getQueueId());
                return failed;
            } catch (Exception e) {
                failed++;
                System.out.println("failed " + number + " " + e.getClass().getSimpleName() + " " + String.valueOf(e.getMessage()).split("\n")[0]);
                if (System.currentTimeMillis() > end) throw e;
                Thread.sleep(200);
            }
        }
    }
}
