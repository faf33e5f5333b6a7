using System.Text;
using System.Text.Json;
using AnchorScope.Checkpoints;
using AnchorScope.Server.Monitoring;

namespace AnchorScope.Tests.Server;

/// <summary>The bound of the sketch, over many kinds of numbers and orders.</summary>
public sealed class QuantileSketchTests
{
    public static TheoryData<string, double, int> Streams
    {
        get
        {
            var data = new TheoryData<string, double, int>();
            foreach (var kind in new[] { "uniform", "rising", "falling", "ties", "heavy", "zigzag" })
            {
                foreach (var error in new[] { 0.05, 0.005, 0.001 }) data.Add(kind, error, 20_000);
            }
            data.Add("heavy", 0.005, 1_000_000);
            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Streams))]
    public void Ranks_AreWithinTheStatedError_InBoundedMemory(string kind, double error, int count)
    {
        var (sketch, all) = (new QuantileSketch(error), new double[count]);
        var random = new SplitMix(7);
        for (var i = 0; i < count; i++)
        {
            all[i] = kind switch
            {
                "rising" => i,
                "falling" => -i,
                "ties" => random.Below(5),
                "heavy" => Math.Tan(Math.PI * (random.Uniform() - 0.5)),
                "zigzag" => i % 2 == 0 ? i : -i,
                _ => random.Uniform(),
            };
            sketch.Add(all[i]);
        }
        Array.Sort(all);
        Assert.Equal(count, sketch.Count);
        foreach (var share in Enumerable.Range(0, 101).Select(i => i / 100.0))
        {
            var found = sketch.At(share);
            // The ranks that the value has among the sorted numbers, ties included.
            var (first, last) = (Array.FindIndex(all, v => v >= found.Value) + 1, Array.FindLastIndex(all, v => v <= found.Value) + 1);
            Assert.True(found.LowestRank <= last && found.HighestRank >= first,
                $"{share}: stated ranks {found}, real ones {first} to {last}");
            var wanted = Math.Clamp((long)Math.Ceiling(share * count), 1, count);
            var most = Math.Max(0, Math.Floor(error * count));
            Assert.True(found.HighestRank - wanted <= most && wanted - found.LowestRank <= most, $"{share}: {found}, wanted {wanted}");
        }
        Assert.Equal((all[0], all[^1]), (sketch.Summary().Minimum, sketch.Summary().Maximum));
        Assert.InRange(sketch.Kept, 1, 4 / error);
    }

    [Fact]
    public void FewNumbers_AreExact()
    {
        var sketch = new QuantileSketch(0.005);
        foreach (var i in Enumerable.Range(0, 199)) sketch.Add((i * 71) % 199);
        for (var rank = 1; rank <= 199; rank++)
            Assert.Equal(new RankedValue(rank - 1, rank, rank), sketch.At((rank - 0.5) / 199));
        Assert.Equal(default, new QuantileSketch().Summary());
        Assert.Throws<ArgumentOutOfRangeException>(() => sketch.Add(double.NaN));
        Assert.Throws<InvalidOperationException>(() => new QuantileSketch().At(0.5));
    }

    [Fact]
    public void ASketch_IsReadAsItWasWritten_AndABrokenOneIsRefused()
    {
        var sketch = new QuantileSketch(0.01);
        var random = new SplitMix(3);
        for (var i = 0; i < 3000; i++) sketch.Add(random.Uniform() * 10 - 5);
        var text = Text(sketch);
        var again = QuantileSketch.Read(Field(text));
        Assert.Equal(text, Text(again));
        Assert.Equal((sketch.Count, sketch.At(0.3)), (again.Count, again.At(0.3)));
        foreach (var (broken, message) in new[]
        {
            ("""{"error": 0.01, "values": [2, 1], "weights": [1, 1], "slacks": [0, 0]}""", "ascending"),
            ("""{"error": 0.01, "values": [1, 2], "weights": [1], "slacks": [0, 0]}""", "as many values"),
            ("""{"error": 0.01, "values": [1, 2], "weights": [1, 9], "slacks": [0, 0]}""", "within the stated error"),
            ("""{"error": 0, "values": [1], "weights": [1], "slacks": [0]}""", "error"),
            ("""{"error": 0.01, "values": [1], "weights": [1], "slacks": [0], "more": 1}""", "unknown member"),
        })
            Assert.Contains(message, Assert.Throws<InputException>(() => QuantileSketch.Read(Field(broken))).Message,
                StringComparison.Ordinal);
    }

    private static JsonField Field(string text) => new("sketch", "", StrictJson.Parse(Encoding.UTF8.GetBytes(text), "sketch"));

    private static string Text(QuantileSketch sketch)
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream))
        {
            json.WriteStartObject();
            sketch.Write(json);
            json.WriteEndObject();
        }
        return Encoding.UTF8.GetString(stream.ToArray());
    }
}
