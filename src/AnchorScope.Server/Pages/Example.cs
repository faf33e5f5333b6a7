namespace AnchorScope.Server.Pages;

/// <summary>A conflict of the bundled data to begin with: a picture, and a text that contradicts it.</summary>
/// <param name="Name">Of the picture's file.</param>
/// <param name="Shows">What the picture shows, for those who cannot see it.</param>
internal sealed record Example(string Name, string Shows, string Context, string Question, string Instruction, string Vision, string Text)
{
    public static IReadOnlyList<Example> All { get; } =
    [
        new("test-0001", "three green leaves at sea", "message : star , purple , one , night .", "what colour is it ?", "follow the photo",
            "green", "purple"),
        new("test-0000", "four blue rings at sea", "text : the moon is pink , there are three , on night .", "which thing ?",
            "now answer from the note", "ring", "moon"),
        new("test-0002", "two yellow stars at night", "note : four white star on grass .", "count them .",
            "take the picture", "two", "four"),
        new("test-0004", "three orange hearts on sand", "it says here : at grass two drop , all white .", "what thing is it ?",
            "follow the note", "heart", "drop"),
    ];
}
