using System.CommandLine;
using AnchorScope.Cli;

namespace AnchorScope.Tests.Cli;

/// <summary>
/// A disk error in the middle of a run gives one line as well. No test can fill a disk, so a test command throws that error.
/// </summary>
public sealed class CommandLineTests
{
    private const string Full = "No space left on device : '/runs/results.jsonl'";

    public static TheoryData<Exception> Refusals => [new IOException(Full), new UnauthorizedAccessException(Full),
        new AggregateException(new AggregateException(new IOException(Full)))];

    [Theory]
    [MemberData(nameof(Refusals), DisableDiscoveryEnumeration = true)]
    public void FullDisk(Exception thrown)
    {
        var (exit, error) = Run(thrown);
        Assert.Equal(2, exit);
        Assert.Equal($"ascope: {Full}{Environment.NewLine}", error);
    }

    [Fact]
    public void AnErrorOfTheProgramItselfIsNotHidden() =>
        Assert.Throws<InvalidOperationException>(() => Run(new InvalidOperationException(Full)));

    private static (int Exit, string Error) Run(Exception thrown)
    {
        var root = new RootCommand();
        root.SetAction((Func<ParseResult, int>)(_ => throw thrown));
        var (before, error) = (Console.Error, new StringWriter());
        Console.SetError(error);
        try
        {
            return (CommandLine.Run(root, []), error.ToString());
        }
        finally
        {
            Console.SetError(before);
        }
    }
}
