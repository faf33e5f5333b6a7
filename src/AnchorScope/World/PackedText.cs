using AnchorScope.Conflicts;

namespace AnchorScope.World;

/// <summary>Composes the text of one packed sample.</summary>
internal sealed class PackedText(WorldRandom random, MixtureOptions mixture, PackedKind kind, TwoWorlds worlds)
{
    private const int ImageTokens = 16;
    private const int Questions = 3;
    private const int Redraws = 20;
    private const int Announcement = 2; // "caption :" begins every caption
    private const double NoteFirst = 0.3;
    private const double QuestionFirst = 0.8;
    private const double InstructedAnyway = 0.5; // if there is nothing to decide

    private static readonly int Aspects = Enum.GetValues<Aspect>().Length;

    private readonly List<PackedToken> _tokens = [];
    private readonly List<PackedTurn> _turns = [];

    public IReadOnlyList<PackedToken> Tokens => _tokens;

    public IReadOnlyList<PackedTurn> Turns => _turns;

    public void Write()
    {
        Add("<bos> <user>", TokenRole.Frame, 0);
        if (kind == PackedKind.Caption)
        {
            AddPicture();
            var caption = Phrases.Caption(random, worlds.Picture).Split(' ');
            for (var i = 0; i < caption.Length; i++) Add(caption[i], TokenRole.Caption, i < Announcement ? 0 : 1);
            return;
        }
        AddContext();
        for (var i = 0; i < Questions; i++)
        {
            if (i > 0) Add("<eos> <user>", TokenRole.Frame, 0);
            AddTurn();
        }
    }

    private void AddContext()
    {
        var note = kind == PackedKind.ImageOnly ? "" : Phrases.Note(random, worlds.Note);
        var noteFirst = random.Chance(NoteFirst);
        if (noteFirst) Add(note, TokenRole.Note, mixture.TextWeight);
        if (kind != PackedKind.TextOnly) AddPicture();
        if (!noteFirst) Add(note, TokenRole.Note, mixture.TextWeight);
    }

    private void AddTurn()
    {
        var (asked, followed) = Ask();
        var instructed = kind == PackedKind.Conflict || random.Chance(InstructedAnyway);
        var question = Phrases.Question(random, asked);
        var instruction = instructed ? Instructions.Draw(random, followed, mixture.Forms) : "";
        var questionFirst = !instructed || random.Chance(QuestionFirst);
        if (questionFirst) Add(question, TokenRole.Question, mixture.TextWeight);
        Add(instruction, TokenRole.Instruction, mixture.TextWeight);
        if (!questionFirst) Add(question, TokenRole.Question, mixture.TextWeight);
        if (mixture.Suffix) Add("<end> <assistant>", TokenRole.Suffix, 0);
        _turns.Add(new PackedTurn(asked, followed, instructed, _tokens.Count));
        Add(Phrases.Word(followed == Modality.Vision ? worlds.Picture : worlds.Note, asked), TokenRole.Answer, 1);
    }

    /// <summary>
    /// A question and a modality that have not been asked together yet and, in a conflict, whose answers differ; after a number of draws,
    /// any.
    /// </summary>
    private (Aspect Asked, Modality Followed) Ask()
    {
        for (var draw = 0; ; draw++)
        {
            var asked = (Aspect)random.Below(Aspects);
            var vision = random.Chance(mixture.Vision);
            var followed = kind switch
            {
                PackedKind.ImageOnly => Modality.Vision,
                PackedKind.TextOnly => Modality.Text,
                _ => vision ? Modality.Vision : Modality.Text,
            };
            var isNew = !_turns.Exists(turn => turn.Asked == asked && turn.Followed == followed);
            if (draw == Redraws || (isNew && (kind != PackedKind.Conflict || worlds.Differs(asked)))) return (asked, followed);
        }
    }

    private void AddPicture()
    {
        for (var i = 0; i < ImageTokens; i++) Add("<image>", TokenRole.Image, 0);
    }

    private void Add(string words, TokenRole role, double weight)
    {
        foreach (var word in words.Split(' ', StringSplitOptions.RemoveEmptyEntries)) _tokens.Add(new PackedToken(word, role, weight));
    }
}
