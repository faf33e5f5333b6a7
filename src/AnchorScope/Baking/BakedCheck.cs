namespace AnchorScope.Baking;

/// <summary>One thing that must hold of a baked folder.</summary>
/// <param name="What">The claim.</param>
/// <param name="Found">What was counted or measured; where it does not hold, the first place.</param>
/// <param name="Holds">Whether it does.</param>
internal sealed record BakedCheck(string What, string Found, bool Holds);
