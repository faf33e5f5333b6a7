namespace AnchorScope;

/// <summary>Formats counts for sentences.</summary>
internal static class Plural
{
    /// <summary>"1 sample", "2 samples", "0 samples".</summary>
    public static string Of(long count, string noun) => $"{count} {Noun(count, noun)}";

    /// <summary>"1 run does", "2 runs do".</summary>
    /// <param name="one">The verb for one.</param>
    /// <param name="many">The verb for any other number.</param>
    public static string Of(long count, string noun, string one, string many) => $"{Of(count, noun)} {(count == 1 ? one : many)}";

    /// <summary>"3 of 8 heads", "1 of 1 head", "all 8 heads", "none of 8 heads".</summary>
    public static string OutOf(long count, long of, string noun) =>
        count == 0 ? $"none of {Of(of, noun)}" : count == of && of > 1 ? $"all {Of(of, noun)}" : $"{count} of {Of(of, noun)}";

    /// <summary>"none", or the number.</summary>
    public static string Few(long count) => count == 0 ? "none" : $"{count}";

    /// <summary>The noun without its number.</summary>
    public static string Noun(long count, string noun) => count == 1 ? noun : noun + "s";
}
