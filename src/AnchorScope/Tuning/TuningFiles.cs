using System.Text.Json;
using AnchorScope.Studies;

namespace AnchorScope.Tuning;

/// <summary>Writes the result of a tuning as a file for other programs.</summary>
internal static class TuningFiles
{
    /// <summary>Writes tune.json into <paramref name="folder"/>.</summary>
    public static void Write(string folder, TuningResult result) =>
        DiagnosisFiles.Text(Path.Combine(folder, "tune.json"), JsonSerializer.Serialize(result, DiagnosisFiles.Form) + "\n");
}
