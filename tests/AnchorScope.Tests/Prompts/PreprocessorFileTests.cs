using System.Text.Json.Nodes;
using AnchorScope.Models;
using AnchorScope.Prompts;
using AnchorScope.Tests.Checkpoints;

namespace AnchorScope.Tests.Prompts;

/// <summary>Which file says how pictures become pixel values: one rule for every family.</summary>
public sealed class PreprocessorFileTests : IDisposable
{
    private readonly TempFolder _temp = new();

    public static TheoryData<string> Families => new("llava15", "qwen2vl", "qwen25vl", "internvl3", "internvl3-remote", "llava-onevision",
        "smolvlm");

    [Theory]
    [MemberData(nameof(Families))]
    public void ImageProcessorOfTheProcessorFile_Wins(string family)
    {
        var (plain, both) = (_temp.Copy(Fixtures.Path(family), "plain"), _temp.Copy(Fixtures.Path(family), "both"));
        Edit(plain, "preprocessor_config.json", Other);
        var settings = Read(both, "preprocessor_config.json");
        Other(settings);
        Nest(both, settings);
        var values = Values(plain);
        Assert.Equal(values, Values(both));
        Assert.NotEqual(values, Values(Fixtures.Path(family)));
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void TheProcessorFileAlone_IsEnough(string family)
    {
        var folder = _temp.Copy(Fixtures.Path(family), "alone");
        Nest(folder, Read(folder, "preprocessor_config.json"));
        File.Delete(Path.Combine(folder, "preprocessor_config.json"));
        Assert.Equal(Values(Fixtures.Path(family)), Values(folder));
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void SettingsThatNameNoType_AreTheFamilysOwn(string family)
    {
        var folder = _temp.Copy(Fixtures.Path(family), "untyped");
        Edit(folder, "preprocessor_config.json", settings => settings.Remove("image_processor_type"));
        Assert.Equal(Values(Fixtures.Path(family)), Values(folder));
    }

    [Theory]
    [InlineData("llava15")]
    [InlineData("qwen25vl")]
    [InlineData("internvl3")]
    [InlineData("llava-onevision")]
    [InlineData("smolvlm")]
    public void SettingsOfAnotherProcessor_AreRefused(string family)
    {
        var folder = _temp.Copy(Fixtures.Path(family), "other");
        Edit(folder, "preprocessor_config.json", settings => settings["image_processor_type"] = "ViTImageProcessor");
        var message = Assert.Throws<InputException>(() => VisionLanguageModel.Open(folder).Dispose()).Message;
        Assert.StartsWith($"{Path.Combine(folder, "preprocessor_config.json")}: image_processor_type: expected one of ", message,
            StringComparison.Ordinal);
        Assert.EndsWith("found \"ViTImageProcessor\"", message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("llava15", "crop_size")]
    [InlineData("qwen25vl", "patch_size, temporal_patch_size, merge_size")]
    [InlineData("smolvlm", "size")]
    public void SizesThatDoNotFit_NameTheFileThatWon(string family, string field)
    {
        var folder = _temp.Copy(Fixtures.Path(family), "sizes");
        var settings = Read(folder, "preprocessor_config.json");
        settings["crop_size"] = family == "llava15" ? new JsonObject { ["height"] = 28, ["width"] = 28 } : null;
        settings["patch_size"] = family == "qwen25vl" ? 7 : null;
        if (family == "smolvlm") settings["max_image_size"] = new JsonObject { ["longest_edge"] = 28 };
        Nest(folder, settings);
        var message = Assert.Throws<InputException>(() => VisionLanguageModel.Open(folder).Dispose()).Message;
        Assert.StartsWith($"{Path.Combine(folder, "processor_config.json")}: {field}: expected ", message, StringComparison.Ordinal);
    }

    private static void Other(JsonObject settings) => (settings["image_mean"], settings["image_std"]) =
        (new JsonArray(0.25, 0.5, 0.75), new JsonArray(0.5, 0.25, 1.0));

    private static float[] Values(string folder)
    {
        using var model = VisionLanguageModel.Open(folder);
        return model.Preprocess([Picture.Load(Fixtures.Path("images", "rgb_300x150.png"))]).Values;
    }

    private static JsonObject Read(string folder, string file) => File.Exists(Path.Combine(folder, file))
        ? JsonNode.Parse(File.ReadAllText(Path.Combine(folder, file)))!.AsObject() : [];

    private static void Edit(string folder, string file, Action<JsonObject> edit)
    {
        var json = Read(folder, file);
        edit(json);
        File.WriteAllText(Path.Combine(folder, file), json.ToJsonString());
    }

    private static void Nest(string folder, JsonObject settings) => Edit(folder, "processor_config.json", json => json["image_processor"] =
        settings);

    public void Dispose() => _temp.Dispose();
}
