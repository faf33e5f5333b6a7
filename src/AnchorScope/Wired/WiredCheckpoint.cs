using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using AnchorScope.Checkpoints;

namespace AnchorScope.Wired;

/// <summary>
/// Writes a wired model as a checkpoint in LLaVA-1.5's layout, together with truth.json. The bytes are the same on every machine.
/// </summary>
internal static class WiredCheckpoint
{
    private const string ChatTemplate =
        "{% for message in messages %}{% if message['role'] == 'assistant' %} <assistant> {% else %}<user>{% endif %}"
        + "{% if message['content'] is string %} {{ message['content'] }}{% else %}"
        + "{% for content in message['content'] | selectattr('type', 'equalto', 'image') %} <image>{% endfor %}"
        + "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %} {{ content['text'] }}{% endfor %}{% endif %}"
        + "{% if message['role'] == 'assistant' %} <eos> {% else %} <end>{% endif %}{% endfor %}"
        + "{% if add_generation_prompt %} <assistant>{% endif %}";

    private const string Library = "5.12.1";
    private const int ImageTokens = 4;

    private static readonly JsonSerializerOptions Indented =
        new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Writes the folder. It gets its name only when it is complete.</summary>
    /// <param name="folder">Must not exist, or be empty.</param>
    /// <exception cref="InputException">The folder is not empty, or cannot be written.</exception>
    public static void Write(WiredModel model, string folder)
    {
        ArgumentNullException.ThrowIfNull(model);
        NewFolder.Write(folder, partial => Fill(model, partial));
    }

    private static int Fill(WiredModel model, string folder)
    {
        Write(folder, "config.json", Config(model));
        Write(folder, "generation_config.json", new()
        {
            ["bos_token_id"] = 1, ["do_sample"] = false, ["eos_token_id"] = 2, ["max_new_tokens"] = 1, ["pad_token_id"] = 0,
            ["transformers_version"] = Library,
        });
        Write(folder, "preprocessor_config.json", Preprocessor());
        Write(folder, "processor_config.json", new()
        {
            ["image_token"] = "<image>", ["num_additional_image_tokens"] = 1, ["patch_size"] = WiredPicture.Patch,
            ["processor_class"] = "LlavaProcessor", ["vision_feature_select_strategy"] = "default",
        });
        Write(folder, "tokenizer.json", WiredVocabulary.Tokenizer());
        Write(folder, "tokenizer_config.json", WiredVocabulary.TokenizerConfig());
        Write(folder, "special_tokens_map.json", WiredVocabulary.SpecialTokens());
        Write(folder, "chat_template.json", new() { ["chat_template"] = ChatTemplate });
        File.WriteAllText(Path.Combine(folder, "chat_template.jinja"), ChatTemplate);
        Write(folder, "provenance.json", new()
        {
            ["kind"] = "wired", ["statement"] = Statement(model), ["written_with"] = $"ascope wire {model.Name}",
        });
        Write(folder, "truth.json", WiredTruth.Of(model));
        var tensors = new WiredTensors((ulong)WiredModel.All.ToList().FindIndex(m => m.Name == model.Name));
        WiredPicture.Write(tensors);
        WiredDecoder.Write(model, tensors);
        tensors.Write(Path.Combine(folder, Checkpoint.SingleName));
        return WiredVocabulary.Tokens.Count;
    }

    /// <summary>The provenance statement, which reports repeat.</summary>
    private static string Statement(WiredModel model) =>
        $"This model was written by code and never trained, so what every head does is known (truth.json). {model.Shows} "
        + "It tests an instrument, and says nothing about models that learn.";

    private static JsonObject Config(WiredModel model) => new()
    {
        ["architectures"] = new JsonArray("LlavaForConditionalGeneration"),
        ["dtype"] = "bfloat16",
        ["image_seq_length"] = ImageTokens,
        ["image_token_index"] = WiredVocabulary.ImageToken,
        ["model_type"] = "llava",
        ["multimodal_projector_bias"] = true,
        ["pad_token_id"] = 0,
        ["projector_hidden_act"] = "gelu",
        ["text_config"] = Decoder(model),
        ["tie_word_embeddings"] = false,
        ["transformers_version"] = Library,
        ["vision_config"] = new JsonObject
        {
            ["attention_dropout"] = 0.0, ["dtype"] = "bfloat16", ["hidden_act"] = "quick_gelu", ["hidden_size"] = WiredPicture.Width,
            ["image_size"] = WiredPicture.Side, ["intermediate_size"] = WiredPicture.MlpSize, ["layer_norm_eps"] = 1e-5,
            ["model_type"] = "clip_vision_model", ["num_attention_heads"] = WiredPicture.Heads, ["num_channels"] = 3,
            ["num_hidden_layers"] = WiredPicture.Layers, ["patch_size"] = WiredPicture.Patch, ["projection_dim"] = WiredPicture.Width,
        },
        ["vision_feature_layer"] = -2,
        ["vision_feature_select_strategy"] = "default",
        ["torch_dtype"] = "bfloat16",
    };

    private static JsonObject Decoder(WiredModel model) => new()
    {
        ["attention_bias"] = false, ["attention_dropout"] = 0.0, ["bos_token_id"] = 1, ["dtype"] = "bfloat16", ["eos_token_id"] = 2,
        ["head_dim"] = WiredDecoder.HeadSize, ["hidden_act"] = "silu", ["hidden_size"] = Axes.Width,
        ["intermediate_size"] = WiredDecoder.MlpSize,
        ["max_position_embeddings"] = 64, ["mlp_bias"] = false, ["model_type"] = "llama", ["num_attention_heads"] = WiredModel.Heads,
        ["num_hidden_layers"] = model.Layers, ["num_key_value_heads"] = WiredModel.Heads, ["pad_token_id"] = 0, ["pretraining_tp"] = 1,
        ["rms_norm_eps"] = 1e-5, ["rope_parameters"] = new JsonObject { ["rope_theta"] = WiredDecoder.Theta, ["rope_type"] = "default" },
        ["tie_word_embeddings"] = false, ["use_cache"] = true,
        ["vocab_size"] = WiredVocabulary.Tokens.Count, ["rope_theta"] = WiredDecoder.Theta,
    };

    private static JsonObject Preprocessor()
    {
        JsonArray Half() => new(0.5, 0.5, 0.5);
        return new JsonObject
        {
            ["crop_size"] = new JsonObject { ["height"] = WiredPicture.Side, ["width"] = WiredPicture.Side },
            ["do_center_crop"] = true, ["do_convert_rgb"] = true, ["do_normalize"] = true, ["do_rescale"] = true, ["do_resize"] = true,
            ["image_mean"] = Half(), ["image_processor_type"] = "CLIPImageProcessor", ["image_std"] = Half(),
            ["processor_class"] = "LlavaProcessor", ["resample"] = 3, ["rescale_factor"] = 1.0 / 255,
            ["size"] = new JsonObject { ["shortest_edge"] = WiredPicture.Side },
        };
    }

    private static void Write(string folder, string name, JsonObject json) =>
        File.WriteAllText(Path.Combine(folder, name), json.ToJsonString(Indented) + "\n");
}
