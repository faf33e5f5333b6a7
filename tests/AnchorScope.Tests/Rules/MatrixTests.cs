using AnchorScope.Models;
using AnchorScope.Tests.Models;
using AnchorScope.Tests.Studies;

namespace AnchorScope.Tests.Rules;

/// <summary>The README's table of supported features: every "yes" is a checkpoint that the tests of its column run.</summary>
public sealed class MatrixTests
{
    private const string TextOnly = "Llama, text only";
    private const string NoPictures = "no pictures";

    private static readonly Dictionary<string, (string[] Types, string Fixture)> Rows = new(StringComparer.Ordinal)
    {
        ["LLaVA-1.5"] = (["llava"], "llava15"),
        ["Qwen2-VL, Qwen2.5-VL"] = (["qwen2_vl", "qwen2_5_vl"], "qwen25vl"),
        ["InternVL3, native layout"] = (["internvl"], "internvl3"),
        ["InternVL3, 2.5, 2, original code's layout"] = (["internvl_chat"], "internvl3-remote"),
        ["LLaVA-OneVision"] = (["llava_onevision"], "llava-onevision"),
        ["SmolVLM, Idefics3"] = (["smolvlm", "idefics3"], "smolvlm"),
        [TextOnly] = (["llama"], LlamaTextCheckpoint.Source),
    };

    [Fact]
    public void EveryCell_IsTested()
    {
        var readme = File.ReadAllLines(Path.Combine(Fixtures.Root, "README.md"));
        var rows = readme.SkipWhile(line => !line.StartsWith("| family", StringComparison.Ordinal)).Skip(2)
            .TakeWhile(line => line.StartsWith('|'))
            .Select(line => line.Trim('|').Split('|').Select(cell => cell.Trim()).ToArray()).ToList();
        Assert.Equal(Rows.Keys.Order(StringComparer.Ordinal), rows.Select(row => row[0]).Order(StringComparer.Ordinal));
        Assert.Equal(VisionLanguageModel.Families.Order(StringComparer.Ordinal),
            Rows.Values.SelectMany(row => row.Types).Order(StringComparer.Ordinal));
        var parity = Names(ParityTests.Cases);
        var prompts = Names(ParityTests.Own);
        var full = Names(ParityTests.FullCases);
        var diagnosis = Names(FamilyDiagnosisTests.Models);
        var places = Names(ImagePlaceTests.Cases);
        // Its prompts are those of the native layout: OriginalLayout_WithATemplateOfStrings_GivesTheSameInputs.
        prompts.Add("internvl3-remote");
        foreach (var row in rows)
        {
            var fixture = Rows[row[0]].Fixture;
            // Only the language model of its fixture, which gives the same bits: LlamaTextTests.
            if (row[0] == TextOnly)
            {
                Assert.Equal([NoPictures, full.Contains(fixture) ? "yes" : "no", NoPictures, NoPictures], row[1..]);
                continue;
            }
            Assert.Equal(parity.Contains(fixture) && prompts.Contains(fixture) ? "yes" : "no", row[1]);
            Assert.Equal(full.Contains(fixture) ? "yes" : "no", row[2]);
            Assert.Equal(diagnosis.Contains(fixture) ? "yes" : "no", row[3]);
            Assert.Equal(places.Contains(fixture) ? "yes" : "no", row[4]);
        }
    }

    private static HashSet<string> Names(IEnumerable<object[]> cases) =>
        cases.Select(row => (string)row[0]).ToHashSet(StringComparer.Ordinal);
}
