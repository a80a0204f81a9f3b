import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.atomic.LongAdder;

/** Counts messages and their times since the last reading. The buckets are those of load/histogram.ts. */
final class Meter {
    private static final int BUCKETS = 1024;
    private final AtomicLongArray buckets = new AtomicLongArray(BUCKETS);
    private final LongAdder failed = new LongAdder();
    private final AtomicLong messages = new AtomicLong();
    private long begin = System.nanoTime();

    /** Counts a message and returns the number since the last reading. */
    long count() {
        return messages.incrementAndGet();
    }

    void countAll(int many) {
        messages.addAndGet(many);
    }

    void fail() {
        failed.increment();
    }

    /** Counts a message and its time. */
    void add(long nanos) {
        messages.incrementAndGet();
        buckets.incrementAndGet(bucketOf(nanos / 100));
    }

    private static int bucketOf(long tenths) {
        if (tenths < 64) return (int) Math.max(0, tenths);
        int shift = 58 - Long.numberOfLeadingZeros(tenths);
        return (int) Math.min(BUCKETS - 1, ((long) shift << 5) + (tenths >>> shift));
    }

    private static double lowerEdgeUs(int bucket) {
        if (bucket < 64) return bucket / 10.0;
        return ((long) ((bucket & 31) + 32) << ((bucket >> 5) - 1)) / 10.0;
    }

    private double quantileUs(double part) {
        long total = 0;
        for (int i = 0; i < BUCKETS; i++) total += buckets.get(i);
        long rank = (long) (part * total);
        long sum = 0;
        for (int i = 0; i < BUCKETS; i++) {
            sum += buckets.get(i);
            if (sum > rank) return lowerEdgeUs(i);
        }
        return 0;
    }

    /** Prints what was counted, and starts again from zero. */
    synchronized void report(String event) {
        long now = System.nanoTime();
        Worker.say("\"event\":\"%s\",\"messages\":%d,\"failed\":%d,\"ms\":%.3f,\"p50Us\":%.1f,\"p99Us\":%.1f",
            event, messages.getAndSet(0), failed.sumThenReset(), (now - begin) / 1e6, quantileUs(0.5), quantileUs(0.99));
        for (int i = 0; i < BUCKETS; i++) buckets.set(i, 0);
        begin = now;
    }
}
