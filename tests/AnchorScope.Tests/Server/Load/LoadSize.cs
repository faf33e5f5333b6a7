using System.Globalization;

namespace AnchorScope.Tests.Server.Load;

/// <summary>How much load tests make: seconds of it in the suite, more where a variable says so (CONTRIBUTING.md).</summary>
internal static class LoadSize
{
    /// <summary>The number that a variable names, or the usual one.</summary>
    public static int Of(string variable, int usual) => Environment.GetEnvironmentVariable(variable) is { Length: > 0 } text
        ? int.Parse(text, CultureInfo.InvariantCulture) : usual;

    /// <summary>Writes a line of what was measured into the file that <c>ASCOPE_LOAD_REPORT</c> names, if it names one.</summary>
    public static void Report(string line)
    {
        if (Environment.GetEnvironmentVariable("ASCOPE_LOAD_REPORT") is { Length: > 0 } file)
            File.AppendAllText(file, string.Create(CultureInfo.InvariantCulture, $"{DateTime.UtcNow:HH:mm:ss} {line}\n"));
    }
}
