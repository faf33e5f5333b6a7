namespace AnchorScope.Baking;

/// <summary>One property that a baked folder must have.</summary>
/// <param name="What">The property.</param>
/// <param name="Found">What was counted or measured; if the property does not hold, the first violation.</param>
/// <param name="Holds">Whether the property holds.</param>
internal sealed record BakedCheck(string What, string Found, bool Holds);
