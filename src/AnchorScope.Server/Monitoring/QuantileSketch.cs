using System.Text.Json;
using AnchorScope.Checkpoints;

namespace AnchorScope.Server.Monitoring;

/// <summary>A number near a quantile, and what is known of its rank (1: the lowest) among all numbers that were added.</summary>
internal readonly record struct RankedValue(double Value, long LowestRank, long HighestRank);

/// <summary>
/// Quantiles of any count of numbers in bounded memory (M. Greenwald and S. Khanna, "Space-efficient online computation of quantile
/// summaries", SIGMOD 2001). The rank of an answer is wrong by at most a stated share of the count; the lowest and the highest number are
/// exact, and so is everything while the count is below 1 / share.
/// </summary>
internal sealed class QuantileSketch
{
    /// <summary>The share of what a server reads, of which nobody knows how much it will be.</summary>
    public const double UsualError = 0.005;

    private readonly List<Entry> _entries = [];

    /// <param name="error">The most by which a rank may be wrong, as a share of the count.</param>
    public QuantileSketch(double error = UsualError)
    {
        if (error is not (> 0 and < 0.5)) throw new ArgumentOutOfRangeException(nameof(error), error, "expected above 0 and below 0.5");
        Error = error;
    }

    /// <summary>The most by which a rank may be wrong, as a share of <see cref="Count"/>.</summary>
    public double Error { get; }

    /// <summary>How many numbers were added.</summary>
    public long Count { get; private set; }

    /// <summary>How many numbers are kept.</summary>
    public int Kept => _entries.Count;

    /// <summary>Adds a number.</summary>
    public void Add(double value)
    {
        if (!double.IsFinite(value)) throw new ArgumentOutOfRangeException(nameof(value), value, "expected a finite number");
        var (low, high) = (0, _entries.Count);
        while (low < high)
        {
            var middle = (low + high) / 2;
            if (_entries[middle].Value <= value) low = middle + 1;
            else high = middle;
        }
        // Its rank is above that of the entry before it, and not above the highest that the next one could have.
        var slack = low == 0 || low == _entries.Count ? 0 : _entries[low].Weight + _entries[low].Slack - 1;
        _entries.Insert(low, new Entry(value, 1, slack));
        Count++;
        if (Count % (long)Math.Ceiling(0.5 / Error) == 0) Compress();
    }

    /// <summary>A number that was added, whose rank is nearest to a share of the count.</summary>
    /// <param name="share">0 to 1; 0.5 is the median.</param>
    /// <exception cref="InvalidOperationException">Nothing was added.</exception>
    public RankedValue At(double share)
    {
        if (Count == 0) throw new InvalidOperationException("there are no quantiles of no numbers");
        var wanted = Math.Clamp((long)Math.Ceiling(share * Count), 1, Count);
        var (best, least, rank) = (default(RankedValue), long.MaxValue, 0L);
        foreach (var entry in _entries)
        {
            rank += entry.Weight;
            var wrong = Math.Max(Math.Abs(wanted - rank), Math.Abs(rank + entry.Slack - wanted));
            if (wrong >= least) continue;
            (best, least) = (new RankedValue(entry.Value, rank, rank + entry.Slack), wrong);
        }
        return best;
    }

    /// <summary>The usual quantiles; all 0 without numbers.</summary>
    public Quantiles Summary() => Count == 0 ? default
        : new(Count, _entries[0].Value, At(0.1).Value, At(0.5).Value, At(0.9).Value, _entries[^1].Value);

    /// <summary>Writes the members of an object.</summary>
    public void Write(Utf8JsonWriter json)
    {
        json.WriteNumber("error", Error);
        Numbers(json, "values", _entries.Select(entry => entry.Value));
        Numbers(json, "weights", _entries.Select(entry => (double)entry.Weight));
        Numbers(json, "slacks", _entries.Select(entry => (double)entry.Slack));
    }

    /// <summary>Reads what <see cref="Write"/> has written.</summary>
    /// <exception cref="InputException">It is no such object, or breaks the bound that it states.</exception>
    public static QuantileSketch Read(JsonField field)
    {
        field.Only("error", "values", "weights", "slacks");
        var sketch = new QuantileSketch(field.Get("error").Number(1e-6, 0.1));
        double[] values = [.. field.Get("values").Items().Select(value => value.Number(double.MinValue, double.MaxValue))];
        long[] weights = [.. field.Get("weights").Items().Select(weight => (long)weight.Integer(1, int.MaxValue))];
        long[] slacks = [.. field.Get("slacks").Items().Select(slack => (long)slack.Integer(0, int.MaxValue))];
        if (values.Length != weights.Length || values.Length != slacks.Length)
            throw field.Expected("as many values as weights and slacks");
        if (!values.Order().SequenceEqual(values)) throw field.Get("values").Expected("numbers in ascending order");
        sketch.Count = weights.Sum();
        var most = Math.Max(1, 2 * sketch.Error * sketch.Count);
        for (var i = 0; i < values.Length; i++)
        {
            if (weights[i] + slacks[i] > most) throw field.Expected($"weights and slacks within the stated error, at most {most} together");
            sketch._entries.Add(new Entry(values[i], weights[i], slacks[i]));
        }
        return sketch;
    }

    private static void Numbers(Utf8JsonWriter json, string name, IEnumerable<double> numbers)
    {
        json.WriteStartArray(name);
        foreach (var number in numbers) json.WriteNumberValue(number);
        json.WriteEndArray();
    }

    /// <summary>Lets an entry stand for those before it where the ranks stay within the error. The ends are kept.</summary>
    private void Compress()
    {
        var most = 2 * Error * Count;
        var kept = _entries.Count - 1;
        for (var i = _entries.Count - 2; i >= 1; i--)
        {
            var (entry, next) = (_entries[i], _entries[kept]);
            if (entry.Weight + next.Weight + next.Slack <= most) _entries[kept] = next with { Weight = entry.Weight + next.Weight };
            else _entries[--kept] = entry;
        }
        if (kept > 1) _entries.RemoveRange(1, kept - 1);
    }

    /// <param name="Weight">The lowest possible rank minus that of the entry before.</param>
    /// <param name="Slack">The highest possible rank minus the lowest.</param>
    private readonly record struct Entry(double Value, long Weight, long Slack);
}
