using System.Diagnostics;

namespace AnchorScope.Tests.Cli;

/// <summary>Runs the built command as a user does, in a separate process.</summary>
internal static class Ascope
{
    public static (int ExitCode, string Output, string Error) Run(string folder, params string[] arguments) =>
        RunWithInput(folder, "", arguments);

    public static (int ExitCode, string Output, string Error) RunWithInput(string folder, string input, params string[] arguments) =>
        Finish(Start(folder, arguments), input);

    /// <summary>With a variable of the runtime, such as one that takes vector instructions away.</summary>
    public static (int ExitCode, string Output, string Error) RunUnder((string Name, string Value) variable, string folder,
        params string[] arguments) =>
        Finish(StartProgram("ascope.dll", folder, arguments, variable), "");

    /// <summary>Another program of this repository.</summary>
    public static (int ExitCode, string Output, string Error) RunOther(string program, string folder, params string[] arguments) =>
        Finish(StartProgram(program, folder, arguments), "");

    /// <summary>For what is watched or stopped while it runs, under variables of the environment.</summary>
    public static Process StartUnder(IReadOnlyList<(string Name, string Value)> variables, string folder, params string[] arguments) =>
        StartProgram("ascope.dll", folder, arguments, [.. variables]);

    /// <summary>For what is watched or stopped while it runs.</summary>
    public static Process Start(string folder, params string[] arguments) => StartProgram("ascope.dll", folder, arguments);

    private static Process StartProgram(string program, string folder, string[] arguments, params (string Name, string Value)[] variables)
    {
        var utf8 = new System.Text.UTF8Encoding(false);
        var start = new ProcessStartInfo("dotnet")
        {
            UseShellExecute = false, RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true,
            WorkingDirectory = folder,
            StandardInputEncoding = utf8, StandardOutputEncoding = utf8,
        };
        start.ArgumentList.Add("exec");
        start.ArgumentList.Add(Path.Combine(AppContext.BaseDirectory, program));
        foreach (var argument in arguments) start.ArgumentList.Add(argument);
        foreach (var (name, value) in variables) start.Environment[name] = value;
        return Process.Start(start)!;
    }

    private static (int ExitCode, string Output, string Error) Finish(Process started, string input)
    {
        using var process = started;
        var error = process.StandardError.ReadToEndAsync();
        process.StandardInput.Write(input);
        process.StandardInput.Close();
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output, error.GetAwaiter().GetResult());
    }
}
