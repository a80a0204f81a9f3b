import java.util.ArrayList;
import java.util.Base64;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.TransactionSendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageAccessor;
import org.apache.rocketmq.common.message.MessageClientExt;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** Converts messages, queues and receipts from commands and to answers. */
final class Shapes {
    static Message message(Args args) {
        Message message = new Message(args.text("topic"), Base64.getDecoder().decode(args.text("body", "")));
        if (args.has("tags")) message.setTags(args.text("tags"));
        if (args.has("keys")) message.setKeys(args.texts("keys"));
        if (args.has("delayLevel")) message.setDelayTimeLevel((int) args.number("delayLevel", 0));
        message.setFlag((int) args.number("flag", 0));
        args.object("properties").asMap().forEach((name, value) -> message.putUserProperty(name, (String) value));
        // Reserved properties, TIMER_DELAY_MS for example: only one release line has a method for each.
        args.object("system").asMap().forEach((name, value) -> MessageAccessor.putProperty(message, name, (String) value));
        return message;
    }

    static List<Message> messages(List<Args> all) {
        List<Message> list = new ArrayList<>();
        for (Args each : all) list.add(message(each));
        return list;
    }

    static MessageQueue queue(Args args) {
        return new MessageQueue(args.text("topic"), args.text("brokerName"), (int) args.number("queueId", 0));
    }

    static List<MessageQueue> queues(List<Args> all) {
        List<MessageQueue> list = new ArrayList<>();
        for (Args each : all) list.add(queue(each));
        return list;
    }

    static Map<String, Object> of(MessageQueue queue) {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("topic", queue.getTopic());
        map.put("brokerName", queue.getBrokerName());
        map.put("queueId", queue.getQueueId());
        return map;
    }

    static List<Object> of(Collection<MessageQueue> queues) {
        List<Object> list = new ArrayList<>();
        for (MessageQueue queue : queues) list.add(of(queue));
        return list;
    }

    static Map<String, Object> of(SendResult result) {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("status", result.getSendStatus().name());
        map.put("messageId", result.getMsgId());
        map.put("offsetMessageId", result.getOffsetMsgId());
        if (result.getMessageQueue() != null) map.put("queue", of(result.getMessageQueue()));
        map.put("queueOffset", result.getQueueOffset());
        map.put("transactionId", result.getTransactionId());
        map.put("regionId", result.getRegionId());
        map.put("recallHandle", Later.get(result, "getRecallHandle"));
        if (result instanceof TransactionSendResult) {
            map.put("localState", ((TransactionSendResult) result).getLocalTransactionState().name());
        }
        return map;
    }

    /** A received message. A reply has no store data. */
    static Map<String, Object> of(Message message) {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("topic", message.getTopic());
        map.put("body", message.getBody() == null ? null : Base64.getEncoder().encodeToString(message.getBody()));
        map.put("tags", message.getTags());
        map.put("keys", message.getKeys());
        map.put("flag", message.getFlag());
        map.put("properties", new LinkedHashMap<>(message.getProperties()));
        if (message instanceof MessageExt) addStored(map, (MessageExt) message);
        return map;
    }

    private static void addStored(Map<String, Object> map, MessageExt message) {
        map.put("messageId", message.getMsgId());
        if (message instanceof MessageClientExt) map.put("offsetMessageId", ((MessageClientExt) message).getOffsetMsgId());
        map.put("brokerName", message.getBrokerName());
        map.put("queueId", message.getQueueId());
        map.put("queueOffset", message.getQueueOffset());
        map.put("reconsumeTimes", message.getReconsumeTimes());
        map.put("sysFlag", message.getSysFlag());
        map.put("storeSize", message.getStoreSize());
        map.put("bornTimestamp", message.getBornTimestamp());
        map.put("bornHost", String.valueOf(message.getBornHostString()));
        map.put("storeTimestamp", message.getStoreTimestamp());
        map.put("transactionId", message.getTransactionId());
        map.put("preparedTransactionOffset", message.getPreparedTransactionOffset());
        map.put("bodyCrc", message.getBodyCRC());
    }

    static List<Object> ofAll(Collection<? extends Message> messages) {
        List<Object> list = new ArrayList<>();
        for (Message message : messages) list.add(of(message));
        return list;
    }
}
