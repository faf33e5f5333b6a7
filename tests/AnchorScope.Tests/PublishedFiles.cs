namespace AnchorScope.Tests;

/// <summary>Files that others published, too large for this repository. tools/fetch-test-files.sh brings them; no test fetches anything.</summary>
internal static class PublishedFiles
{
    /// <summary>A language model that somebody trained: 15 million parameters, learned from short stories.</summary>
    public const string Stories = "llama2c/llama2.data";

    /// <summary>The vocabularies of Llama-2 and Qwen2.5, a folder each.</summary>
    public const string Vocabularies = "vocabularies";

    private const string Script = "tools/fetch-test-files.sh";

    // CI names the folder. Then the files must be there, so that no test is left out there without a word.
    private static readonly string? Required = Environment.GetEnvironmentVariable("ASCOPE_TEST_FILES");
    private static readonly string Folder = Required ?? System.IO.Path.Combine(Fixtures.Root, ".test-files");

    /// <summary>Why tests of the file are skipped, or null where they run.</summary>
    public static string? Skip(string name) =>
        Required is not null || System.IO.Path.Exists(Under(name)) ? null : $"no {name} in .test-files: {Script} fetches it";

    public static string Path(string name) =>
        System.IO.Path.Exists(Under(name)) ? Under(name) : throw new FileNotFoundException($"{Under(name)} is missing: {Script} fetches it");

    private static string Under(string name) => System.IO.Path.Combine(Folder, name);
}

/// <summary>A test of a published file, skipped where it was not fetched.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class PublishedFactAttribute : FactAttribute
{
    public PublishedFactAttribute(string file) => Skip = PublishedFiles.Skip(file);
}

/// <summary>A test with rows of a published file, skipped where it was not fetched.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class PublishedTheoryAttribute : TheoryAttribute
{
    public PublishedTheoryAttribute(string file) => Skip = PublishedFiles.Skip(file);
}
