using AnchorScope.Studies;

namespace AnchorScope.Reports;

/// <summary>The name of a head role on a page.</summary>
/// <param name="Role">Name in diagnosis.json.</param>
/// <param name="Letter">Letter in the map of roles.</param>
/// <param name="Meaning">What a head with this role does.</param>
internal sealed record RoleName(string Role, string Name, char Letter, string Meaning)
{
    /// <summary>Every role except "none". The index in this list is the palette slot.</summary>
    public static IReadOnlyList<RoleName> All { get; } =
    [
        Of(HeadRole.Arbiter, "arbiter", 'A',
            "Chooses what is read: with queries of the other instruction the model gives the other modality's answer."),
        Of(HeadRole.CarrierDecision, "decision carrier", 'D',
            "Its output holds the answer that was decided: with a crossed donor's output the donor's answer comes out."),
        Of(HeadRole.CarrierChoice, "choice carrier", 'C',
            "Its output holds which modality is to be followed, without the answer itself: "
            + "with a crossed donor's output the receiver's other answer comes out."),
        Of(HeadRole.CarrierQuestion, "question carrier", 'Q', "Its output holds which question is asked."),
        Of(HeadRole.CarrierPicture, "picture carrier", 'P', "Its output holds what the picture says."),
        Of(HeadRole.CarrierNote, "note carrier", 'N', "Its output holds what the note says."),
        Of(HeadRole.Hub, "hub", 'H', "Several of these at once."),
        Of(HeadRole.Brake, "brake", 'B', "None of these; without its output the model gives third answers."),
    ];

    /// <summary>The name of a role given as in diagnosis.json; "none" for none.</summary>
    public static string For(string role) => All.FirstOrDefault(r => r.Role == role)?.Name ?? role;

    private static RoleName Of(HeadRole role, string name, char letter, string meaning) =>
        new(EnumName.Of(role), name, letter, meaning);
}
