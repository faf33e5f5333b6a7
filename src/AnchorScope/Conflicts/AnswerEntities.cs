using AnchorScope.Prompts;

namespace AnchorScope.Conflicts;

/// <summary>
/// The answer entity dictionary of one run as token ids: the first tokens of every answer and alias, at the start of the reply, after a
/// space, or after a line break.
/// </summary>
/// <param name="Following">y_p: first token of the instructed modality's canonical answer.</param>
/// <param name="Competing">y_c: that of the other modality's; y_p if the sample has no other side.</param>
/// <param name="FollowingForms">All first tokens of the instructed modality, y_p first.</param>
/// <param name="CompetingForms">All first tokens of the other modality, y_c first; empty if the sample has no other side.</param>
public sealed record AnswerEntities(int Following, int Competing, IReadOnlyList<int> FollowingForms, IReadOnlyList<int> CompetingForms)
{
    /// <summary>Tokenises the answers of <paramref name="run"/>. Null if the two sides cannot be distinguished by first tokens.</summary>
    /// <param name="reason">Why the result is null; otherwise empty.</param>
    public static AnswerEntities? Of(ConflictRun run, Tokenizer tokenizer, out string reason)
    {
        return Of(run.Following, run.Competing, run.Sample.Kind == SampleKind.Conflict, tokenizer, out reason);
    }

    /// <summary>The same for two lists of answers, each with the canonical one first.</summary>
    /// <param name="conflict">Whether the two sides must be told apart.</param>
    /// <param name="reason">Why the result is null; otherwise empty.</param>
    public static AnswerEntities? Of(
        IReadOnlyList<string> followingAnswers, IReadOnlyList<string> competingAnswers, bool conflict,
        Tokenizer tokenizer, out string reason)
    {
        reason = "";
        var following = Forms(followingAnswers, tokenizer);
        var competing = Forms(competingAnswers, tokenizer);
        if (following.Count == 0 || (competing.Count == 0 && competingAnswers.Count > 0))
        {
            reason = "an answer has no token that carries text";
            return null;
        }
        if (competing.Count == 0 || !conflict)
            return new AnswerEntities(following[0], competing.Count > 0 ? competing[0] : following[0], following, []);
        if (following[0] == competing[0])
        {
            reason = $"answers \"{followingAnswers[0]}\" and \"{competingAnswers[0]}\" begin with the same token "
                + $"{tokenizer.TokenText(following[0])}";
            return null;
        }
        // A first token that both sides share identifies neither.
        var shared = following.Intersect(competing).ToHashSet();
        if (shared.Contains(following[0]) || shared.Contains(competing[0]))
        {
            reason = $"the first token of \"{followingAnswers[0]}\" or \"{competingAnswers[0]}\" also begins an alias of the other side";
            return null;
        }
        return new AnswerEntities(following[0], competing[0], [.. following.Where(t => !shared.Contains(t))],
            [.. competing.Where(t => !shared.Contains(t))]);
    }

    /// <summary>Keeps the samples whose answers can be distinguished, and lists the others with the reason.</summary>
    public static ConflictSet Filter(ConflictSet set, Tokenizer tokenizer)
    {
        var (kept, rejected) = (new List<ConflictSample>(), new List<RejectedLine>());
        foreach (var sample in set.Samples)
        {
            var reason = "";
            if (sample.Runs.All(run => Of(run, tokenizer, out reason) is not null)) kept.Add(sample);
            else rejected.Add(new RejectedLine(set.File, sample.Line, sample.Id, reason));
        }
        return set.With(kept, rejected);
    }

    private static List<int> Forms(IReadOnlyList<string> answers, Tokenizer tokenizer)
    {
        var forms = new List<int>();
        foreach (var answer in answers)
        {
            foreach (var before in new[] { "", " ", "\n" })
            {
                // The first token that covers text of the answer itself. A separate word-boundary mark before it covers no text.
                var text = before + answer.Trim();
                var token = tokenizer.Encode(text, addSpecial: false)
                    .FirstOrDefault(t => t.End > before.Length && text[t.Start..t.End].Trim().Length > 0, new Token(-1, 0, 0));
                if (token.Id >= 0 && !forms.Contains(token.Id)) forms.Add(token.Id);
            }
        }
        return forms;
    }
}
