using System.CommandLine;
using AnchorScope.Studies;

namespace AnchorScope.Cli;

/// <summary>Machine-readable results: <c>--json</c> prints one JSON document on standard output instead of tables and sentences.</summary>
internal static class JsonOutput
{
    public static Option<bool> Option() => new("--json") { Description = "print the result as JSON" };

    public static void Print<T>(T result) => Console.Write(DiagnosisFiles.Json(result));
}
