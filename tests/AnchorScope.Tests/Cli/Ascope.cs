using System.Diagnostics;

namespace AnchorScope.Tests.Cli;

/// <summary>Runs the built command as a user does: in a process of its own.</summary>
internal static class Ascope
{
    public static (int ExitCode, string Output, string Error) Run(string folder, params string[] arguments) => RunWithInput(folder, "", arguments);

    /// <summary>With a variable of the runtime, such as one that takes vector instructions away.</summary>
    public static (int ExitCode, string Output, string Error) RunUnder(string variable, string value, string folder, params string[] arguments)
    {
        using var process = Start(folder, arguments, start => start.Environment[variable] = value);
        return Finish(process, "");
    }

    /// <summary>For what is watched or stopped while it runs.</summary>
    public static Process Start(string folder, params string[] arguments) => Start(folder, arguments, _ => { });

    private static Process Start(string folder, string[] arguments, Action<ProcessStartInfo> change)
    {
        var utf8 = new System.Text.UTF8Encoding(false);
        var start = new ProcessStartInfo("dotnet")
        {
            UseShellExecute = false, RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = folder,
            StandardInputEncoding = utf8, StandardOutputEncoding = utf8,
        };
        start.ArgumentList.Add("exec");
        start.ArgumentList.Add(Path.Combine(AppContext.BaseDirectory, "ascope.dll"));
        foreach (var argument in arguments) start.ArgumentList.Add(argument);
        change(start);
        return Process.Start(start)!;
    }

    public static (int ExitCode, string Output, string Error) RunWithInput(string folder, string input, params string[] arguments)
    {
        using var process = Start(folder, arguments);
        return Finish(process, input);
    }

    private static (int ExitCode, string Output, string Error) Finish(Process process, string input)
    {
        var error = process.StandardError.ReadToEndAsync();
        process.StandardInput.Write(input);
        process.StandardInput.Close();
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output, error.GetAwaiter().GetResult());
    }
}
