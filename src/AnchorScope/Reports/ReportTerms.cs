using AnchorScope.Figures;

namespace AnchorScope.Reports;

/// <summary>Abbreviations and terms of all report pages, in the order of a glossary.</summary>
internal static class ReportTerms
{
    public static IReadOnlyList<Term> All { get; } =
    [
        new("ablation", "Taking a head or an edge out: set to 0, or replaced by a mean or by what another run has there."),
        new("arbiter", "A head that chooses what is read: with its queries taken from a run with the other instruction, the model "
            + "gives the other modality's answer."),
        new("arg-max", "The likeliest token over the whole vocabulary."),
        new("base rate", "Share of the decision that the model takes more often: what a signal that never varies would reach."),
        new("choice carrier", "A head whose output holds which modality is to be followed, without the answer itself."),
        new("competitor", "The answer that the other modality gives."),
        new("control sample", "A sample whose picture and text do not contradict each other."),
        new("crossed donor", "A donor run with the other instruction and another picture and note."),
        new("decision carrier", "A head whose output holds the answer that was decided."),
        new("direct logit attribution", "What a head's output adds to the margin at the last position, directly through the unembedding."),
        new("direction", "A vector that is added to activations with a signed strength."),
        new("donor", "The run that activations are taken from."),
        new("edge", "What queries of one part of the prompt read from the keys of another, such as image → instruction."),
        new("expert", "A head in the top 5 % for one modality alone."),
        new("false discovery rate", "Expected share of false findings among all that are called findings."),
        new("Holm", "Correction of p for several sentences tested together."),
        new("hub", "A head in the top 5 % for both modalities (shared hub), or with several roles at once."),
        new("I_NSSD", "Signed change of the distribution over the two answers when an edge is cut; below 0 the edge supports following "
            + "the instruction."),
        new("KL", "Kullback-Leibler divergence: how far one distribution is from another, in nats."),
        new("knockout", "Cutting attention edges: their scores are set to minus infinity before the softmax."),
        new("LDAR", "Layer-wise alignment of the signal with the final decision: share of runs in which the logit lens at a layer "
            + "favours the answer that the model gives in the end."),
        new("logit lens", "The residual stream at a layer, read through the final norm and the unembedding as if it were the last."),
        new("MAM", "Lens margin of the instructed answer over its competitor at a layer, in logits."),
        new("margin", "Logit of the instructed answer's first token minus that of its competitor's."),
        new("MFR", "Modality-following ratio: share of runs that give the answer of the modality that the instruction names."),
        new("MLP", "The feed-forward part of a layer."),
        new("moved", "Change of the margin as a share of the change in the donor's own run: 0 is nothing, 1 the donor's decision."),
        new("necessary head", "A head among the top 5 % by what the margin loses when it is blocked."),
        new("q", "p corrected for all rows of its kind (Benjamini and Hochberg): a bound on the false discovery rate."),
        new("question carrier", "A head whose output holds which question is asked."),
        new("residual stream", "The vector at a position that every layer reads and adds to."),
        new("semantic inertia", "An MLP that works against the attention of its layer."),
        new("Spearman correlation", "Correlation of ranks."),
    ];
}
