using AnchorScope.Figures;
using AnchorScope.Server.Security;
using Microsoft.AspNetCore.Http;

namespace AnchorScope.Server.Pages;

/// <summary>One request for a page, by somebody who may use the pages.</summary>
internal sealed record Visit(HttpContext Context, PageSession Session)
{
    public ServerKey Key => Session.Key;

    /// <summary>Whether a part of a page is asked for, not a whole one.</summary>
    public bool IsPart => Context.Request.Headers["HX-Request"] == "true";
}

/// <summary>How an action ended.</summary>
/// <param name="About">Name of what it was done to.</param>
/// <param name="Text">In one sentence.</param>
internal sealed record Outcome(string About, bool IsGood, string Text)
{
    /// <summary>What it amounts to.</summary>
    public string Word { get; init; } = IsGood ? "Done." : "Not done.";
}

/// <summary>A page of the dashboard.</summary>
internal interface IView
{
    /// <summary>Its address.</summary>
    string Path { get; }

    /// <summary>Its name in the navigation, and its title.</summary>
    string Name { get; }

    /// <summary>One sentence below the title.</summary>
    string About { get; }

    /// <summary>Whether the holder of a key may see it.</summary>
    bool IsFor(ServerKey key);

    /// <summary>Writes what comes below the title.</summary>
    /// <param name="outcome">Of the action that led here; null: none.</param>
    void Write(MarkupText html, Visit visit, Outcome? outcome);
}

/// <summary>A page of which a part changes by itself.</summary>
internal interface ILiveView : IView
{
    /// <summary>Name of its stream.</summary>
    string Stream { get; }

    /// <summary>Writes that part as it is now.</summary>
    void WriteLive(MarkupText html);
}
