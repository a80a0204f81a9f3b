import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.rocketmq.remoting.protocol.RemotingSerializable;

/** The arguments of a command. */
final class Args {
    private final Map<?, ?> members;

    private Args(Map<?, ?> members) {
        this.members = members;
    }

    static Args parse(String json) {
        return new Args(RemotingSerializable.fromJson(json, HashMap.class));
    }

    boolean has(String name) {
        return members.get(name) != null;
    }

    String text(String name) {
        return (String) members.get(name);
    }

    String text(String name, String otherwise) {
        return has(name) ? text(name) : otherwise;
    }

    long number(String name, long otherwise) {
        return has(name) ? ((Number) members.get(name)).longValue() : otherwise;
    }

    boolean is(String name) {
        return Boolean.TRUE.equals(members.get(name));
    }

    /** An object argument; empty if it is missing. */
    Args object(String name) {
        Object value = members.get(name);
        return new Args(value instanceof Map ? (Map<?, ?>) value : new HashMap<>());
    }

    List<Args> objects(String name) {
        List<Args> list = new ArrayList<>();
        if (has(name)) for (Object each : (List<?>) members.get(name)) list.add(new Args((Map<?, ?>) each));
        return list;
    }

    List<String> texts(String name) {
        List<String> list = new ArrayList<>();
        if (has(name)) for (Object each : (List<?>) members.get(name)) list.add((String) each);
        return list;
    }

    Map<String, Object> asMap() {
        Map<String, Object> map = new LinkedHashMap<>();
        members.forEach((key, value) -> map.put((String) key, value));
        return map;
    }

    @Override
    public String toString() {
        return new java.util.TreeMap<>(asMap()).toString();
    }
}
