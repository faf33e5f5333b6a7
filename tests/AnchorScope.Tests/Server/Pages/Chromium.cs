using Microsoft.Playwright;

namespace AnchorScope.Tests.Server.Pages;

/// <summary>The system's Chromium, which no test fetches.</summary>
internal static class Chromium
{
    // As for published files: where this is set, nothing is skipped unnoticed.
    private static readonly bool Required = Environment.GetEnvironmentVariable("ASCOPE_TEST_FILES") is not null;

    public static string? Path { get; } = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(System.IO.Path.PathSeparator)
        .SelectMany(
            folder => new[] { "chromium", "chromium-browser", "google-chrome" }.Select(name => System.IO.Path.Combine(folder, name)))
        .FirstOrDefault(File.Exists);

    /// <summary>Why tests in a browser are skipped; null: they run.</summary>
    public static string? Skip => Path is not null || Required ? null : "no Chromium on the PATH: apt-get install chromium";
}

/// <summary>A test in Chromium, skipped where there is none.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class BrowserFactAttribute : FactAttribute
{
    public BrowserFactAttribute() => Skip = Chromium.Skip;
}

/// <summary>One Chromium for the tests of a class.</summary>
public sealed class Browser : IAsyncLifetime
{
    private IPlaywright? _playwright;
    private IBrowser? _browser;

    public async Task InitializeAsync()
    {
        if (Chromium.Skip is not null) return;
        _playwright = await Playwright.CreateAsync();
        _browser = await _playwright.Chromium.LaunchAsync(new BrowserTypeLaunchOptions
        {
            ExecutablePath = Chromium.Path ?? throw new FileNotFoundException("no Chromium on the PATH: apt-get install chromium"),
            // The sandbox of Chromium does not start for root.
            Args = ["--no-sandbox", "--disable-gpu"],
        });
    }

    /// <summary>An empty page of somebody without cookies.</summary>
    internal async Task<Tab> Open(string url, int width = 1280, bool dark = false)
    {
        var context = await _browser!.NewContextAsync(new BrowserNewContextOptions
        {
            BaseURL = url, ViewportSize = new ViewportSize { Width = width, Height = width < 600 ? 844 : 900 },
            ColorScheme = dark ? ColorScheme.Dark : ColorScheme.Light,
        });
        context.SetDefaultTimeout(20_000);
        return new Tab(context, await context.NewPageAsync());
    }

    public async Task DisposeAsync()
    {
        if (_browser is not null) await _browser.DisposeAsync();
        _playwright?.Dispose();
    }
}

/// <summary>A page, and what the browser complained about.</summary>
internal sealed class Tab : IAsyncDisposable
{
    private readonly IBrowserContext _context;
    private readonly List<string> _complaints = [];

    public Tab(IBrowserContext context, IPage page)
    {
        (_context, Page) = (context, page);
        page.Console += (_, message) =>
        {
            if (message.Type is "error" or "warning") _complaints.Add(message.Text);
        };
        page.PageError += (_, error) => _complaints.Add(error);
    }

    public IPage Page { get; }

    /// <summary>Errors and warnings of the console: those of the content security policy, of scripts, of missing files.</summary>
    public IReadOnlyList<string> Complaints => _complaints;

    /// <summary>Waits for a text in an element.</summary>
    public Task See(string selector, string text) => Assertions.Expect(Page.Locator(selector).First).ToContainTextAsync(text,
        new LocatorAssertionsToContainTextOptions { Timeout = 20_000 });

    public async ValueTask DisposeAsync() => await _context.DisposeAsync();
}
