namespace AnchorScope.World;

/// <summary>
/// Notes, questions and captions. Words are separated by single spaces, and every word is a token of the bundled organism.
/// </summary>
internal static class Phrases
{
    private static readonly string[][] Words =
    [
        ["heart", "star", "leaf", "drop", "moon", "plum", "carrot", "ring"],
        ["red", "yellow", "green", "blue", "white", "purple", "orange", "pink"],
        ["one", "two", "three", "four"],
        ["night", "sand", "sea", "grass"],
    ];

    private static readonly string[] Notes =
    [
        "note : {n} {c} {s} on {g} .",
        "the note says {n} {c} {s} on {g} .",
        "text : the {s} is {c} , there are {n} , on {g} .",
        "someone wrote : on {g} i saw {n} {c} {s} .",
        "message : {s} , {c} , {n} , {g} .",
        "it says here : at {g} {n} {s} , all {c} .",
    ];

    private static readonly string[] Captions =
    [
        "caption : {n} {c} {s} on {g} .",
        "caption : on {g} , {n} {c} {s} .",
        "caption : {s} , {c} , {n} , {g} .",
    ];

    private static readonly string[][] Questions =
    [
        ["what thing is it ?", "which thing ?", "name the thing ."],
        ["what colour is it ?", "which colour ?", "name the colour ."],
        ["how many are there ?", "what number ?", "count them ."],
        ["where is it ?", "what place ?", "name the place ."],
    ];

    /// <summary>The word for one aspect of a world, which is the answer to a question about it.</summary>
    public static string Word(WorldState world, Aspect aspect) => Words[(int)aspect][world[aspect]];

    /// <summary>A sentence that describes <paramref name="world"/> completely.</summary>
    public static string Note(WorldRandom random, WorldState world) => Tell(random.Pick(Notes), world);

    /// <summary>The same as a caption: two words of announcement, then the description.</summary>
    public static string Caption(WorldRandom random, WorldState world) => Tell(random.Pick(Captions), world);

    /// <summary>A question about <paramref name="aspect"/>.</summary>
    public static string Question(WorldRandom random, Aspect aspect) => random.Pick(Questions[(int)aspect]);

    private static string Tell(string form, WorldState world) => form
        .Replace("{n}", Word(world, Aspect.Count), StringComparison.Ordinal)
        .Replace("{c}", Word(world, Aspect.Colour), StringComparison.Ordinal)
        .Replace("{s}", Word(world, Aspect.Shape), StringComparison.Ordinal)
        .Replace("{g}", Word(world, Aspect.Place), StringComparison.Ordinal);
}
