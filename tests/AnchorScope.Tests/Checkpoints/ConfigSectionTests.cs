using AnchorScope.Checkpoints;

namespace AnchorScope.Tests.Checkpoints;

public sealed class ConfigSectionTests : IDisposable
{
    private readonly TempFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Values_AreReadUnderTheirNames()
    {
        var config = Load("""
            {"n": 7, "minus": -2, "x": 1e-05, "t": "silu", "yes": true, "no": false, "none": null, "list": [1, -2], "s": {"deep": {"k": 3}}}
            """);
        Assert.Equal((7, -2, 5), (config.Int("n"), config.Int("minus", 9), config.Int("none", 5)));
        Assert.Equal((7, 4), (config.PositiveInt("n"), config.PositiveInt("absent", 4)));
        Assert.Equal((1e-5, 7.0, 0.5), (config.Number("x"), config.Number("n"), config.Number("absent", 0.5)));
        Assert.Equal(("silu", "gelu"), (config.Text("t"), config.Text("none", "gelu")));
        Assert.Equal((true, false, true), (config.Flag("yes", false), config.Flag("no", true), config.Flag("none", true)));
        Assert.Equal([1, -2], config.Ints("list"));
        Assert.True(config.Has("no"));
        Assert.False(config.Has("none"));
        Assert.False(config.Has("absent"));
        Assert.Null(config.SectionOrNull("none"));
        Assert.Null(config.SectionOrNull("absent"));
        var deep = config.Section("s").SectionOrNull("deep")!;
        Assert.Equal(("s.deep", 3), (deep.Path, deep.Int("k")));
        Assert.Equal(config.File, deep.File);
        Assert.Equal(3, deep.Json.GetProperty("k").GetInt32());
        Assert.Equal($"{config.File}: s.deep.hidden_act: 'foo' is not supported; supported: silu, gelu",
            deep.Unsupported("hidden_act", "foo", ["silu", "gelu"]).Message);
    }

    public static TheoryData<string, object> Mistakes => new()
    {
        { "text.absent: the key is missing", (Action<ConfigSection>)(text => text.Int("absent")) },
        { "text.none: the key is missing (it is null)", (Action<ConfigSection>)(text => text.Text("none")) },
        { "text.t: expected an integer, found 'silu'", (Action<ConfigSection>)(text => text.Int("t")) },
        { "text.t: expected an integer, found 'silu'", (Action<ConfigSection>)(text => text.Int("t", 4)) },
        { "text.half: expected an integer, found 0.5", (Action<ConfigSection>)(text => text.Int("half")) },
        { "text.whole: expected an integer, found 64.0", (Action<ConfigSection>)(text => text.Int("whole")) },
        { "text.large: expected an integer, found 3000000000", (Action<ConfigSection>)(text => text.Int("large")) },
        { "text.minus: expected a positive integer, found -2", (Action<ConfigSection>)(text => text.PositiveInt("minus")) },
        { "text.zero: expected a positive integer, found 0", (Action<ConfigSection>)(text => text.PositiveInt("zero", 3)) },
        { "text.huge: expected a number, found 1e999", (Action<ConfigSection>)(text => text.Number("huge")) },
        { "text.t: expected a number, found 'silu'", (Action<ConfigSection>)(text => text.Number("t", 1)) },
        { "text.yes: expected a number, found true", (Action<ConfigSection>)(text => text.Number("yes")) },
        { "text.half: expected a string, found 0.5", (Action<ConfigSection>)(text => text.Text("half")) },
        { "text.zero: expected true or false, found 0", (Action<ConfigSection>)(text => text.Flag("zero", true)) },
        { "text.t: expected an array of integers, found 'silu'", (Action<ConfigSection>)(text => text.Ints("t")) },
        { "text.mixed[1]: expected an integer, found 'x'", (Action<ConfigSection>)(text => text.Ints("mixed")) },
        { "text.mixed: expected an object, found an array of 2", (Action<ConfigSection>)(text => text.Section("mixed")) },
        { "text.t: expected an object, found 'silu'", (Action<ConfigSection>)(text => text.SectionOrNull("t")) },
    };

    [Theory]
    [MemberData(nameof(Mistakes))]
    public void AMistake_IsNamedWithFilePathAndWhatWasFound(string expected, object readGiven)
    {
        var read = (Action<ConfigSection>)readGiven;
        var config = Load("""
            {"text": {"none": null, "t": "silu", "half": 0.5, "whole": 64.0, "large": 3000000000, "minus": -2, "zero": 0, "huge": 1e999,
                      "yes": true, "mixed": [1, "x"]}}
            """);
        Assert.Equal($"{config.File}: {expected}", Assert.Throws<InputException>(() => read(config.Section("text"))).Message);
    }

    [Theory]
    [InlineData("", "expected JSON of 1 to 67108864 bytes, found 0 bytes")]
    [InlineData("[1]", "expected a JSON object, found an array of 1")]
    [InlineData("\"text\"", "expected a JSON object, found 'text'")]
    [InlineData("{\n\"a\": 1,\n\"b\": oops\n}", "line 3: not valid JSON: 'o' is an invalid start of a value.")]
    [InlineData("{\n\"a\": NaN}", "line 2: not valid JSON")]
    [InlineData("{\"a\": 1}\n{", "line 2: not valid JSON")]
    [InlineData("{\"a\": 1", "line 1: not valid JSON")]
    [InlineData("{\"a\": 1, \"a\": 2}", "not valid JSON: the key 'a' stands twice in one object")]
    [InlineData("{\n\n\"a\": \"\\ud800\"}", "line 3: not valid JSON: a string holds half of a surrogate pair")]
    [InlineData("{\"\\udfff\": 1}", "line 1: not valid JSON: a string holds half of a surrogate pair")]
    public void AFileThatIsNoObject_IsRefused(string text, string expected) =>
        Assert.Contains(expected, Message(folder.Write("config.json", text)));

    [Fact]
    public void DeepNesting_IsRefused() =>
        Assert.Contains("maximum configured depth of 64", Message(folder.Write("config.json", "{\"a\":" + new string('[', 100_000))));

    [Fact]
    public void BytesThatAreNotUtf8_AreRefused() =>
        Assert.Contains("expected UTF-8", Message(folder.Write("config.json", [(byte)'{', 0xff, (byte)'}'])));

    [Fact]
    public void AFileAboveTheLimit_IsRefusedUnread()
    {
        string path = folder.File("config.json");
        using (var stream = File.Create(path))
            stream.SetLength((64L << 20) + 1);
        File.CreateSymbolicLink(folder.File("link.json"), "config.json");
        long before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Contains("found 67108865 bytes", Message(path));
        Assert.Contains("found 67108865 bytes", Message(folder.File("link.json")));
        Assert.True(GC.GetAllocatedBytesForCurrentThread() - before < 500_000);
    }

    [Fact]
    public void AMissingFileOrAFolder_IsRefused()
    {
        Assert.Contains("there is no such file", Message(folder.File("config.json")));
        Assert.Contains("expected a file, found a folder", Message(folder.Path));
    }

    [Fact]
    public void AByteOrderMark_IsSkipped() => Assert.Equal(1, Load("\uFEFF{\"a\": 1}").Int("a"));

    [Fact]
    public void LongText_IsShortenedInMessages()
    {
        var config = Load($$"""{"a": "{{new string('x', 5000)}}"}""");
        Assert.EndsWith($"found '{new string('x', 120)}... (5000 characters)'",
            Assert.Throws<InputException>(() => config.Int("a")).Message);
    }

    [Fact]
    public void MutatedConfigs_AreReadOrRefused()
    {
        var random = new Random(7);
        byte[] whole = File.ReadAllBytes(Path.Combine(Fixtures.Organism, "config.json"));
        int refused = 0;
        for (int round = 0; round < 1000; round++)
        {
            byte[] bytes = whole[..(round % 2 == 0 ? whole.Length : random.Next(whole.Length))];
            for (int i = random.Next(4); i > 0 && bytes.Length > 0; i--)
                bytes[random.Next(bytes.Length)] = (byte)"{}[]\",:\\u0é\u0001"u8[random.Next(13)];
            string path = folder.Write("config.json", bytes);
            try
            {
                var config = ConfigSection.Load(path);
                foreach (var property in config.Json.EnumerateObject())
                    _ = config.Has(property.Name);
            }
            catch (InputException e)
            {
                refused++;
                Assert.StartsWith(path + ": ", e.Message);
                Assert.DoesNotContain('\n', e.Message);
            }
        }
        Assert.InRange(refused, 500, 999);
    }

    private ConfigSection Load(string text) => ConfigSection.Load(folder.Write("config.json", text));

    private static string Message(string path)
    {
        string message = Assert.Throws<InputException>(() => ConfigSection.Load(path)).Message;
        Assert.StartsWith(path + ": ", message);
        Assert.DoesNotContain('\n', message);
        return message;
    }
}
