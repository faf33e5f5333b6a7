using AnchorScope.Checkpoints;

namespace AnchorScope.Models;

/// <summary>How generation_config.json samples tokens; without that file config.json. Without a value, the reference library's.</summary>
/// <param name="Temperature">0: the likeliest token is always chosen.</param>
/// <param name="TopK">0: all tokens.</param>
/// <param name="Source">Name of the file, or "reference" if it says nothing.</param>
public sealed record SamplingDefaults(double Temperature, int TopK, double TopP, string Source)
{
    /// <summary>Reads them.</summary>
    /// <exception cref="InputException">A value has the wrong type or is out of range.</exception>
    internal static SamplingDefaults Of(ConfigSection section)
    {
        var (temperature, topK, topP) =
            (section.Number("temperature", 1), section.Has("top_k") ? section.Int("top_k") : 50, section.Number("top_p", 1));
        if (!(temperature >= 0)) throw InputException.At(section.File, "temperature", "a number of 0 or above", $"{temperature}");
        if (topK < 0) throw InputException.At(section.File, "top_k", "an integer of 0 or above", $"{topK}");
        if (!(topP is > 0 and <= 1)) throw InputException.At(section.File, "top_p", "a number above 0 and at most 1", $"{topP}");
        string[] names = ["do_sample", "temperature", "top_k", "top_p"];
        return new SamplingDefaults(section.Flag("do_sample", false) ? temperature : 0, topK, topP,
            names.Any(section.Has) ? Path.GetFileName(section.File) : "reference");
    }
}
