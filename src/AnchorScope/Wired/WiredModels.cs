using AnchorScope.Studies;
using static AnchorScope.Wired.WiredPlace;

namespace AnchorScope.Wired;

/// <summary>The models, and the heads they are composed of.</summary>
internal static class WiredModels
{
    private const int Values = 16;

    private static readonly int[] Nouns = [Axes.SaysPicture, Axes.SaysText];

    private static readonly int[] Question = [Axes.CarriedSky, Axes.CarriedGround];

    private static readonly Copy AnswerFromValue = new(Axes.Value, Axes.Answer, Values);

    public static readonly IReadOnlyList<WiredModel> All =
    [
        new()
        {
            Name = "wired-arbiter",
            Shows = "One head at the instruction arbitrates; the last position fetches the answer from there.",
            Planted =
            [
                Asks(0, 2, Nouns, [Noun]),
                Onlooker(1, 1, Axes.Picture, Picture, Axes.FromPicture),
                Arbiter(2, 1, Nouns, Noun),
                Decision(3, 3, Nouns, Noun),
            ],
        },
        new()
        {
            Name = "wired-decoy",
            Shows = "As wired-arbiter, but the heads whose blocking costs most carry the question over two steps; they do not arbitrate.",
            Planted =
            [
                Asks(0, 1, [Axes.QuestionEnd], [QuestionEnd]) with { Blocked = WiredBlocking.Other },
                new(1, 2, HeadRole.CarrierQuestion, "Takes what the question is about from the question mark to the instruction's noun.")
                {
                    At = [Noun], Reads = QuestionEnd, Blocked = WiredBlocking.Other,
                    Scores = [new(2, Nouns, [Axes.QuestionEnd])], Output = [new(Axes.CarriedSky, Axes.CarriedSky, 2)],
                },
                Arbiter(2, 0, Nouns, Noun),
                new(2, 3, HeadRole.None, "Rests on the first token while the noun has the question; without it, reads the other modality.")
                {
                    Scores =
                    [
                        new(2, [Axes.SaysText], [Axes.Picture]), new(2, [Axes.SaysPicture], [Axes.Note]), new(2, Question, [Axes.Start]),
                    ],
                    Output = [AnswerFromValue with { Factor = 2 }],
                },
                Decision(3, 1, Nouns, Noun),
            ],
        },
        new()
        {
            Name = "wired-redundant",
            Shows = "Two heads arbitrate at two words of the instruction, in two layers; either one is enough.",
            ArbitersActTogether = true,
            Planted =
            [
                Asks(0, 0, [.. Nouns, Axes.Tail], [Noun, Tail]),
                Choice(0, 3, [Axes.Tail, Axes.Last], [Tail, Last], WiredBlocking.Kept),
                Arbiter(1, 2, Nouns, Noun, tag: true),
                Arbiter(2, 0, [Axes.ChosenPicture, Axes.ChosenText], Tail, tag: true),
                new(3, 2, HeadRole.CarrierDecision, "Takes an answer that was read where the instruction says to the last position.")
                {
                    At = [Last], Reads = NounAndTail, Blocked = WiredBlocking.Unsure,
                    Scores =
                    [
                        new(2, [Axes.Last], [.. Nouns, Axes.Tail]), new(0.2f, [Axes.Last], Nouns),
                        new(1, [Axes.ChosenPicture], [Axes.FoundInPicture]), new(1, [Axes.ChosenText], [Axes.FoundInNote]),
                    ],
                    Output = [new(Axes.Answer, Axes.Answer, Values)],
                },
            ],
        },
        new()
        {
            Name = "wired-brake",
            Shows = "As wired-arbiter, with a tendency to say \"unsure\" that one head holds back.",
            Unsure = true,
            Planted =
            [
                Asks(0, 3, Nouns, [Noun]),
                Arbiter(1, 0, Nouns, Noun),
                new(2, 2, HeadRole.Brake, "Takes three quarters of the tendency to say \"unsure\" away. What it reads is always the same.")
                {
                    At = [Last], Reads = TurnEnd, Blocked = WiredBlocking.Unsure,
                    Scores = [new(2, [Axes.Last], [Axes.TurnEnd])], Output = [new(Axes.TurnEnd, Axes.Unsure, 1, -0.75f)],
                },
                Onlooker(2, 3, Axes.Note, Note, Axes.FromNote),
                Decision(3, 0, Nouns, Noun),
            ],
        },
        new()
        {
            Name = "wired-direct",
            Shows = "The last position reads picture or note itself; a head tells it which.",
            Layers = 3,
            Direct = true,
            Planted =
            [
                Asks(0, 1, [Axes.Last], [Last]),
                Choice(1, 3, [Axes.Last], [Last], WiredBlocking.Unsure),
                Onlooker(1, 0, Axes.Note, Note, Axes.FromNote),
                Arbiter(2, 2, [Axes.ChosenPicture, Axes.ChosenText], Last),
            ],
        },
        new()
        {
            Name = "wired-mlp",
            Shows = "Heads bring all values to the instruction, whatever it says; the MLP of the next layer lets one through.",
            Planted =
            [
                Asks(0, 0, Nouns, [Noun]),
                Cue(1, 1, HeadRole.CarrierPicture, Axes.Picture, Picture, Axes.FromPicture, WiredBlocking.UnsureForPicture),
                Cue(1, 3, HeadRole.CarrierNote, Axes.Note, Note, Axes.FromNote, WiredBlocking.UnsureForNote),
                Decision(3, 1, Nouns, Noun),
            ],
            Gates =
            [
                .. Gates(2, Axes.SaysPicture, Axes.SaysText, Axes.FromPicture), .. Gates(2, Axes.SaysText, Axes.SaysPicture, Axes.FromNote),
            ],
        },
        new()
        {
            Name = "wired-onlooker",
            Shows = "As wired-arbiter, beside a head with the arbiter's own queries and keys whose output nothing reads.",
            Planted =
            [
                Asks(0, 1, Nouns, [Noun]),
                Arbiter(2, 0, Nouns, Noun) with
                {
                    Role = HeadRole.None, Blocked = WiredBlocking.Kept, Output = [new(Axes.Value, Axes.FromPicture, Values)],
                    Does = "Its queries and keys are the arbiter's: it reads the same value, and writes it where nothing reads it.",
                },
                Arbiter(2, 3, Nouns, Noun),
                Decision(3, 2, Nouns, Noun),
            ],
        },
    ];

    /// <summary>At positions with a feature of <paramref name="at"/>, reads which part the question is about.</summary>
    private static WiredHead Asks(int layer, int head, int[] at, WiredPlace[] places) =>
        new(layer, head, HeadRole.CarrierQuestion, $"Reads what the question is about, and writes it at {Text(places)}.")
        {
            At = places, Reads = QuestionWord, Blocked = WiredBlocking.Unsure,
            Scores = [new(2, at, [Axes.AskedSky, Axes.AskedGround])], Output = [new(Axes.AskedSky, Axes.CarriedSky, 2)],
        };

    /// <summary>At positions with a feature of <paramref name="at"/>, reads which modality the instruction names.</summary>
    private static WiredHead Choice(int layer, int head, int[] at, WiredPlace[] places, WiredBlocking blocked) =>
        new(layer, head, HeadRole.CarrierChoice, $"Reads which modality the instruction names, and writes it at {Text(places)}.")
        {
            At = places, Reads = Noun, Blocked = blocked,
            Scores = [new(2, at, Nouns)], Output = [new(Axes.SaysPicture, Axes.ChosenPicture, 2)],
        };

    /// <summary>
    /// Reads the value that the question asks for, from the modality that <paramref name="choice"/> (picture, text) indicates.
    /// </summary>
    private static WiredHead Arbiter(int layer, int head, int[] choice, WiredPlace at, bool tag = false)
    {
        var output = new List<Copy> { AnswerFromValue };
        if (tag) output.Add(new Copy(Axes.Picture, Axes.FoundInPicture, 2));
        const string does = "Its query holds question and modality: it reads the value that is both, and writes it as the answer.";
        return new(layer, head, HeadRole.Arbiter, does)
        {
            At = [at], Reads = Instructed, Blocked = tag ? WiredBlocking.Kept : WiredBlocking.Unsure,
            Scores = [.. OfTheQuestion, new(1, [choice[0]], [Axes.Picture]), new(1, [choice[1]], [Axes.Note])], Output = output,
        };
    }

    private static Match[] OfTheQuestion =>
    [
        new(1, [Axes.CarriedSky], [.. Enumerable.Range(Axes.Value, Values / 2)]),
        new(1, [Axes.CarriedGround], [.. Enumerable.Range(Axes.Value + Values / 2, Values / 2)]),
    ];

    /// <summary>Copies both values of one modality to the noun, with half of the attention each.</summary>
    private static WiredHead Cue(int layer, int head, HeadRole role, int modality, WiredPlace reads, int to, WiredBlocking blocked) =>
        new(layer, head, role, $"Brings both values of the {Text(modality)} to the noun, whatever question and instruction.")
        {
            At = [Noun], Reads = reads, Blocked = blocked, Scores = [new(2, Nouns, [modality])], Output = [new(Axes.Value, to, Values)],
        };

    /// <summary>Pass on the value of a modality that the question asks for, if the instruction names the modality.</summary>
    private static Gate[] Gates(int layer, int modality, int other, int from) =>
    [
        new(layer, [modality, Axes.CarriedSky], [other, Axes.CarriedGround], from, Axes.Answer, Values / 2, 2),
        new(layer, [modality, Axes.CarriedGround], [other, Axes.CarriedSky], from + Values / 2, Axes.Answer + Values / 2, Values / 2, 2),
    ];

    private static WiredHead Decision(int layer, int head, int[] from, WiredPlace reads) =>
        new(layer, head, HeadRole.CarrierDecision, "Takes the answer from the instruction's noun to the last position.")
        {
            At = [Last], Reads = reads, Blocked = WiredBlocking.Unsure,
            Scores = [new(2, [Axes.Last], from)], Output = [new(Axes.Answer, Axes.Answer, Values)],
        };

    /// <summary>Attends to one modality from noun and last position, and writes to coordinates that nothing reads.</summary>
    private static WiredHead Onlooker(int layer, int head, int modality, WiredPlace reads, int to) =>
        new(layer, head, HeadRole.None, $"Attends to the {Text(modality)}, and writes what it says where nothing reads it.")
        {
            At = [Noun, Last], Reads = reads, Scores = [new(2, [.. Nouns, Axes.Last], [modality])], Output = [new(Axes.Value, to, Values)],
        };

    private static string Text(int modality) => modality == Axes.Picture ? "picture" : "note";

    private static string Text(WiredPlace[] places) => string.Join(" and ", places.Select(place => place switch
    {
        QuestionEnd => "the question mark",
        Noun => "the instruction's noun",
        Tail => "its last word",
        _ => "the last position",
    }));
}
