namespace AnchorScope.Server.Pages;

/// <summary>What happened in a few seconds.</summary>
/// <param name="Number">Of these seconds, counted from the beginning of time.</param>
internal readonly record struct TrafficSlot(long Number, long Answered, long Refused, long Generated);

/// <summary>What a server has done, as the overview shows it.</summary>
/// <param name="Slots">The last minutes, oldest first, slots without traffic included.</param>
/// <param name="First">Seconds from a request to its first token, of the latest requests, ascending.</param>
/// <param name="Whole">Seconds from a request to its last token, ascending.</param>
internal sealed record TrafficReading(long Answered, long Refused, long Prompt, long Generated, IReadOnlyList<TrafficSlot> Slots,
    IReadOnlyList<double> First, IReadOnlyList<double> Whole)
{
    /// <summary>Generated tokens a second over the last half minute.</summary>
    public double TokensPerSecond { get; init; }
}

/// <summary>The traffic of the last minutes, in memory that does not grow. Written by requests, read by the overview.</summary>
internal sealed class Traffic(TimeProvider time)
{
    /// <summary>Length of a slot in seconds.</summary>
    public const int SlotSeconds = 5;

    private const int Slots = 60;
    private const int Latest = 256;
    private const int RateSlots = 6;

    private readonly Lock _lock = new();
    private readonly TrafficSlot[] _slots = new TrafficSlot[Slots];
    private readonly Queue<(double First, double Whole)> _times = [];
    private long _answered, _refused, _prompt, _generated;

    /// <summary>Counts an answered request.</summary>
    /// <param name="first">Time to its first token.</param>
    /// <param name="whole">Time to its last token.</param>
    public void Answered(int prompt, int generated, TimeSpan first, TimeSpan whole)
    {
        lock (_lock)
        {
            ref var slot = ref Now();
            slot = slot with { Answered = slot.Answered + 1, Generated = slot.Generated + generated };
            (_answered, _prompt, _generated) = (_answered + 1, _prompt + prompt, _generated + generated);
            _times.Enqueue((first.TotalSeconds, whole.TotalSeconds));
            if (_times.Count > Latest) _times.Dequeue();
        }
    }

    /// <summary>Counts a request that was not answered.</summary>
    public void Refused()
    {
        lock (_lock)
        {
            ref var slot = ref Now();
            slot = slot with { Refused = slot.Refused + 1 };
            _refused++;
        }
    }

    public TrafficReading Read()
    {
        lock (_lock)
        {
            var now = Number();
            TrafficSlot[] slots = [.. Enumerable.Range(0, Slots).Select(i => now - Slots + 1 + i)
                .Select(number => _slots[number % Slots] is var slot && slot.Number == number ? slot : new TrafficSlot(number, 0, 0, 0))];
            return new TrafficReading(_answered, _refused, _prompt, _generated, slots, [.. _times.Select(t => t.First).Order()],
                [.. _times.Select(t => t.Whole).Order()])
            {
                // The last slot has only begun.
                TokensPerSecond = slots[^RateSlots..].Sum(slot => slot.Generated)
                    / ((RateSlots - 1) * SlotSeconds + time.GetUtcNow().ToUnixTimeMilliseconds() % (1000 * SlotSeconds) / 1000.0),
            };
        }
    }

    private long Number() => time.GetUtcNow().ToUnixTimeSeconds() / SlotSeconds;

    private ref TrafficSlot Now()
    {
        var number = Number();
        ref var slot = ref _slots[number % Slots];
        if (slot.Number != number) slot = new TrafficSlot(number, 0, 0, 0);
        return ref slot;
    }
}
