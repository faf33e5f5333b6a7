using System.CommandLine;
using AnchorScope.Studies;

namespace AnchorScope.Cli;

/// <summary>Results for programs: <c>--json</c> prints one JSON document on standard output in place of tables and sentences.</summary>
internal static class JsonOutput
{
    public static Option<bool> Option() => new("--json") { Description = "print the result as JSON" };

    public static void Print<T>(T result) => Console.Write(DiagnosisFiles.Json(result));
}
