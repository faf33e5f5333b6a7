using System.Security.Cryptography;
using System.Text;
using AnchorScope.Interventions;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Interventions;

/// <summary>Head sets as files: what is written can be read back, and anything else gives a one-line error that names the field.</summary>
public sealed class HeadSetFileTests : IDisposable
{
    private const string Whole = """
        {"version": 1, "model": "a", "revision": "12", "tokenizer_hash": "34", "dataset_hash": "", "metric_variant": "causal_margin",
         "heads": [{"layer": 1, "head": 2, "score": 0.5}, {"layer": 0, "head": 2, "score": null}], "variants": {"seed": "1"}}
        """;

    private readonly TempFolder _temp = new();

    [Fact]
    public void WhatIsWritten_IsRead()
    {
        var set = new HeadSet("müde | model", "12", "34", "56", HeadSet.ByHand,
            [new ScoredHead(3, 1, double.NaN), new ScoredHead(0, 0, -1.0 / 3)])
        {
            Variants = new Dictionary<string, string>(StringComparer.Ordinal) { ["b"] = "2", ["a"] = "\"1\"" },
            Files = new Dictionary<string, string>(StringComparer.Ordinal) { ["config.json"] = "78" },
        };
        var path = _temp.Write("heads.json", HeadSetFile.Text(set));
        var read = HeadSetFile.Load(path);
        Assert.Equal(set.Heads, read.Set.Heads);
        Assert.Equal(set.Variants, read.Set.Variants);
        Assert.Equal(set.Files, read.Set.Files);
        Assert.Equal(set with { Heads = [], Variants = read.Set.Variants, Files = read.Set.Files }, read.Set with { Heads = [] });
        Assert.Equal((path, Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(path)))), (read.Path, read.Sha256));
        Assert.Equal(HeadSetFile.Text(set), HeadSetFile.Text(read.Set));
    }

    [Fact]
    public void GainsOfHeads_MakeVersionTwo()
    {
        var plain = new HeadSet("a", "12", "", "", HeadSet.ByHand, [new ScoredHead(3, 1, double.NaN), new ScoredHead(0, 0, 0.5)]);
        Assert.Equal((1, null), (plain.Version, plain.Gains));
        var set = plain with { Heads = [.. plain.Heads.Select((h, i) => h with { Gain = i + 0.1f })] };
        var path = _temp.Write("heads.json", HeadSetFile.Text(set));
        var read = HeadSetFile.Load(path).Set;
        Assert.Equal(2, read.Version);
        Assert.Equal(set.Heads, read.Heads);
        Assert.Equal([new HeadGain(0, 0, 1.1f), new HeadGain(3, 1, 0.1f)], read.Gains!.Heads);
        foreach (var (to, message) in new[] { ("\"gain\": 1e99", "heads[0].gain: expected a number of 32 bits"),
            ("\"gain\": null", "heads[0].gain: "), ("\"factor\": 1", "heads[0].factor: expected only layer, head, score, estimate, gain") })
        {
            _temp.Write("heads.json", HeadSetFile.Text(set).Replace("\"gain\": 0.1", to, StringComparison.Ordinal));
            Assert.Contains(message, Assert.Throws<InputException>(() => HeadSetFile.Load(path)).Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void OtherFieldsMayBeLeftOut() =>
        Assert.Single(HeadSetFile.Load(
            _temp.Write("heads.json", """{"version": 1, "model": "a", "revision": "12", "heads": [{"layer": 0, "head": 1}]}""")).Set.Heads);

    [Theory]
    [InlineData("\"version\": 1", "\"version\": 3", "version: expected 1 or 2, found 3")]
    [InlineData("\"version\": 1", "\"version\": 2", "heads[0].gain: the key is missing")]
    [InlineData("\"version\": 1", "\"version\": \"1\"", "version: expected an integer, found '1'")]
    [InlineData("\"version\": 1, ", "", "version: the key is missing")]
    [InlineData("\"version\": 1", "\"version\": 1, \"gains\": []", "gains: expected only version")]
    [InlineData("\"revision\": \"12\"", "\"revision\": 12", "revision: expected a string, found 12")]
    [InlineData("\"model\": \"a\", ", "", "model: the key is missing")]
    [InlineData("\"heads\": [", "\"heads\": [7, ", "heads[0]: expected an object, found 7")]
    [InlineData("{\"layer\": 1, \"head\": 2, \"score\": 0.5}, {\"layer\": 0, \"head\": 2, \"score\": null}", "",
        "heads: expected at least one head, found none")]
    [InlineData("[{\"layer\": 1, \"head\": 2, \"score\": 0.5}, {\"layer\": 0, \"head\": 2, \"score\": null}]", "{}",
        "heads: expected an array of objects, found an object")]
    [InlineData("\"layer\": 0", "\"layer\": 1", "heads[1]: expected each head once, found layer 1, head 2, which is heads[0]")]
    [InlineData("\"layer\": 0", "\"layer\": 0.5", "heads[1].layer: expected an integer, found 0.5")]
    [InlineData("\"layer\": 0", "\"layer\": 99999999999", "heads[1].layer: expected an integer, found 99999999999")]
    [InlineData("\"layer\": 0, ", "", "heads[1].layer: the key is missing")]
    [InlineData("\"score\": null", "\"score\": \"high\"", "heads[1].score: expected a number, found 'high'")]
    [InlineData("\"score\": null", "\"gain\": 2", "heads[1].gain: expected only layer, head, score")]
    [InlineData("\"seed\": \"1\"", "\"seed\": 1", "variants.seed: expected a string, found 1")]
    [InlineData("\"model\": \"a\"", "\"model\": \"a\", \"model\": \"b\"", "not valid JSON")]
    public void WrongFiles_NameTheField(string from, string to, string message)
    {
        Assert.Contains(from, Whole, StringComparison.Ordinal);
        var path = _temp.Write("heads.json", Whole.Replace(from, to, StringComparison.Ordinal));
        var error = Assert.Throws<InputException>(() => HeadSetFile.Load(path));
        Assert.StartsWith(path + ": ", error.Message, StringComparison.Ordinal);
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', error.Message);
    }

    [Fact]
    public void TruncatedAnywhere_IsRefused()
    {
        var bytes = Encoding.UTF8.GetBytes(Whole.TrimEnd());
        for (var length = 0; length < bytes.Length; length++)
        {
            var path = _temp.Write("heads.json", bytes.AsSpan(0, length));
            Assert.Throws<InputException>(() => HeadSetFile.Load(path));
        }
    }

    [Fact]
    public void AnyOtherByte_IsReadOrRefused()
    {
        var (random, bytes) = (new Random(3), Encoding.UTF8.GetBytes(Whole));
        for (var i = 0; i < 2_000; i++)
        {
            var changed = bytes.ToArray();
            for (var n = 0; n < 1 + i % 3; n++) changed[random.Next(changed.Length)] = (byte)random.Next(256);
            var path = _temp.Write("heads.json", changed);
            try
            {
                Assert.NotEmpty(HeadSetFile.Load(path).Set.Heads);
            }
            catch (InputException e)
            {
                Assert.DoesNotContain('\n', e.Message);
            }
        }
    }

    public void Dispose() => _temp.Dispose();
}
