/*
 * kvcast: load the KV cache of a context into an inference engine before a time-to-first-token
 * deadline. C99.
 *
 *   kvcast_open -> kvcast_play -> kvcast_report_json, kvcast_error -> (more plays) -> kvcast_free
 *
 * One thread at a time may use a player, except kvcast_cancel. Different players are independent.
 * The library starts threads of its own during a play (decoding, recomputation) and none is left
 * when the play returns. It never prints, exits or raises signals. Callbacks must not call
 * functions of the same player, kvcast_cancel excepted, and must not throw or jump out.
 *
 * Every struct starts with `size`, which the side that fills it sets to sizeof: a library that
 * knows more fields takes their defaults (zeros, or those of kvcast_params_init), one that knows
 * fewer ignores the rest. Strings are UTF-8 and zero-terminated; NULL and "" mean the same.
 * Everything passed in is copied, callback tables included, unless it says otherwise; `context`
 * pointers are handed back as they are.
 */
#ifndef KVCAST_H_
#define KVCAST_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Changes when something here stops working for programs compiled before. */
#define KVCAST_ABI_VERSION 1
uint32_t kvcast_abi_version(void);

enum {
  KVCAST_OK = 0,
  KVCAST_PROMISE = 1, /* a promise was not kept */
  KVCAST_USAGE = 2,   /* the call makes no sense */
  KVCAST_IO = 3,      /* network or file system */
  KVCAST_CORRUPT = 4, /* corrupt or incompatible input */
  KVCAST_CANCELLED = 5,
  KVCAST_INTERNAL = 6 /* out of memory, or a bug */
};
typedef int32_t kvcast_status;

enum {
  KVCAST_F16 = 1,
  KVCAST_BF16 = 2,
  KVCAST_F32 = 3,
  KVCAST_F8_E4M3 = 4, /* finite only: no infinity, as vLLM and safetensors have it */
  KVCAST_F8_E5M2 = 5
};
enum { KVCAST_KEY = 0, KVCAST_VALUE = 1 };

typedef struct kvcast_player kvcast_player;

/* A presentation, by its manifest or by the longest stored prefix of some tokens. */
typedef struct kvcast_source {
  size_t size;
  const char* manifest_url; /* or empty, and then: */
  const char* store_url;    /* what holds t/ */
  const char* tenant;       /* empty: "public" */
  const char* salt;         /* of the prefix hashes; may be empty */
  const char* weights;      /* id of the model's weights */
  const char* adapter;      /* LoRA id; may be empty */
  const uint32_t* tokens; /* of the context; with a manifest_url optional: what to recompute from */
  size_t token_count;
} kvcast_source;

typedef struct kvcast_params {
  size_t size;
  double ttft_slo_ms; /* from the call of kvcast_play to the first token's logits; default 1000 */
  /* What the engine still needs once the last layer is ready; default 0. */
  double suffix_prefill_ms;
  const char* controller;   /* default "layered" */
  uint32_t min_level;       /* a chunk below it is not handed over; default 0 */
  int32_t max_level;        /* -1, the default: none */
  int32_t exact;            /* 1: the lossless representation; default 0 */
  int32_t finish_early;     /* 1: stop improving as soon as every chunk has min_level; default 0 */
  double gpu_seconds_price; /* quality that one second of recomputation must bring; default 0 */
  uint32_t connections;     /* default 4 */
  uint32_t decode_threads;  /* default 2 */
  uint64_t token_limit;     /* only whole chunks of the first so many tokens; 0, the default: all */
  double rate_prior_bytes_per_s; /* 0, the default: none */
  const char* engine_weights;    /* refuse a cache of other weights; empty: do not compare */
  const char* engine_adapter;    /* the same */
  /* Each decision and observation as one line of JSON, valid during the call. May be NULL. On the
   * calling thread. */
  void (*on_event)(void* context, const char* json);
  void* event_context;
  /* Instead of suffix_prefill_ms, once it is known how many tokens of KV there will be. May be
   * NULL. On the calling thread. */
  double (*suffix_prefill_ms_after)(void* context, uint64_t kv_tokens);
  void* suffix_context;
  /* So long after the deadline a play that still lacks chunks ends with KVCAST_PROMISE, whatever is
   * under way. Negative, the default: it goes on while bytes arrive or the engine recomputes, and
   * ends only when nothing arrives for 250 ms. */
  double late_limit_ms;
} kvcast_params;

/* Fills in `size`, which is sizeof(kvcast_params) where the caller was compiled, and defaults. */
void kvcast_params_init(kvcast_params* params, size_t size);

typedef struct kvcast_shape {
  size_t size;
  uint32_t layers, key_heads, key_dim, value_heads, value_dim;
  uint32_t dtype;    /* KVCAST_F16, KVCAST_BF16, ... */
  uint64_t tokens;   /* to come */
  const char* model; /* as the manifest names it; valid during prepare */
} kvcast_shape;

/* [token][head][dim], elements of the shape's dtype, heads and dims dense. */
typedef struct kvcast_tensor {
  void* data;
  size_t token_stride_bytes;
} kvcast_tensor;
typedef struct kvcast_const_tensor {
  const void* data;
  size_t token_stride_bytes;
} kvcast_const_tensor;

/*
 * Where decoded KV goes. All calls come on the thread that called kvcast_play. Set `destination`,
 * and decode threads write in place; or set `write`, and each layer is handed over once, when it is
 * final (the library then holds the whole cache). Nothing is written before the SHA-256 of the
 * object it came from was checked.
 */
typedef struct kvcast_sink {
  size_t size;
  void* context;
  /* Once, first. Anything but 0 ends the play with KVCAST_USAGE. May be NULL. */
  int32_t (*prepare)(void* context, const kvcast_shape* shape);
  /* Where one layer's keys or values go, all tokens; valid until the play returns. Not 0: as for
   * prepare. */
  int32_t (*destination)(void* context, uint32_t layer, uint32_t side, kvcast_tensor* tensor);
  /* One layer's final keys or values, dense; valid during the call. Not 0: as for prepare. */
  int32_t (*write)(void* context, uint32_t layer, uint32_t side, const void* data, size_t bytes);
  /* The context's token ids, once they are known: after prepare, or never. Valid during the call.
   * May be NULL. */
  void (*tokens_known)(void* context, const uint32_t* ids, size_t count);
  /* All layers of tokens [begin, end) hold usable KV, which may get better. May be NULL. */
  void (*chunk_ready)(void* context, uint64_t token_begin, uint64_t token_end);
  /* The layer is complete and nothing will change it any more. Once a layer, in any order. May be
   * NULL. */
  void (*layer_ready)(void* context, uint32_t layer);
} kvcast_sink;

/* Prefill tokens [begin, end) given KV of [0, begin). Pointers are valid during the call. */
typedef struct kvcast_prefill {
  size_t size;
  const uint32_t* tokens; /* of the context: [0, end) */
  uint64_t begin, end;
  uint32_t layers, key_heads, key_dim, value_heads, value_dim;
  uint32_t dtype;
  const kvcast_const_tensor* prefix; /* [2 * layer + side]: token 0 first */
  const kvcast_tensor* result; /* [2 * layer + side]: where the new KV goes, token `begin` first */
  const void* stop;            /* for kvcast_prefill_stopped */
} kvcast_prefill;

/* Whether the result is no longer wanted. Thread-safe and cheap: ask between layers. */
int32_t kvcast_prefill_stopped(const kvcast_prefill* task);

/* The engine. One task at a time, on a thread of the library's. */
typedef struct kvcast_recompute {
  size_t size;
  void* context;
  /* 0: done. Anything else: no result; when the task was not stopped, recomputation ends for this
   * play. */
  int32_t (*prefill)(void* context, const kvcast_prefill* task);
  /* The running prefill is no longer wanted. May be NULL. On any thread. */
  void (*cancel)(void* context);
  /* Seconds for n tokens from position p: per_call + per_token n + per_token_position n (p + n/2).
   * Zeros: not known. */
  double per_call_s, per_token_s, per_token_position_s;
} kvcast_recompute;

/* Connects to nothing yet. *player is NULL only after KVCAST_INTERNAL; otherwise free it, also
 * after an error. */
kvcast_status kvcast_open(const kvcast_source* source, kvcast_player** player);

/*
 * Blocks until the last layer was handed over, or the play failed. A missed SLO is KVCAST_OK: the
 * report says "met": false. With a store that holds nothing of the tokens it is KVCAST_OK too, the
 * report says "tokens": 0, and no callback of the sink was called. `params` and `recompute` may be
 * NULL. Connections stay open for the next play.
 */
kvcast_status kvcast_play(kvcast_player* player, const kvcast_params* params,
                          const kvcast_sink* sink, const kvcast_recompute* recompute);

/*
 * A GPU as the destination: planes are decoded there, straight into the engine's cache.
 *
 *   kvcast_open -> kvcast_use_device -> kvcast_play_device -> ...
 *
 * Element (slot s, head h, dim d) of a layer lies at
 *   address + blocks[s / block_tokens] * block_bytes + s % block_tokens * token_bytes
 *           + h * head_bytes + d * sizeof(element)
 * block_tokens 0: no blocks, s * token_bytes. vLLM's [2, blocks, block_tokens, heads, dim]: keys at
 * the tensor, values half of it later, head_bytes = dim * e, token_bytes = heads * head_bytes,
 * block_bytes = block_tokens * token_bytes.
 */
typedef struct kvcast_device_layout {
  uint32_t block_tokens;
  uint64_t block_bytes, token_bytes, head_bytes;
} kvcast_device_layout;

/* Where one context's KV goes. Addresses are the device's, one a layer; arrays are the host's, and
 * copied when prepare returns. Token t is in slot first_slot + t. */
typedef struct kvcast_device_cache {
  size_t size;
  void* const* keys;
  void* const* values;
  size_t layers;
  uint64_t key_bytes, value_bytes; /* from each address on that belong to the cache */
  kvcast_device_layout key_layout, value_layout;
  const int32_t* blocks;
  size_t block_count;
  uint64_t first_slot;
} kvcast_device_cache;

typedef struct kvcast_device_params {
  size_t size;
  uint32_t ordinal; /* CUDA device; default 0 */
  uint32_t
      max_sms; /* multiprocessors that decoding may fill at a time; 0, the default: a quarter */
  uint64_t ring_bytes;       /* pinned; 0, the default: 16 MiB */
  uint64_t compressed_bytes; /* device: planes kept until the freeze; 0, the default: 512 MiB */
  uint64_t scratch_bytes;    /* device; 0, the default: 256 MiB */
} kvcast_device_params;

/* All calls come on the thread that called kvcast_play_device. */
typedef struct kvcast_device_sink {
  size_t size;
  void* context;
  /* Once, first: fills in `cache`, whose size is set. Not 0 ends the play with KVCAST_USAGE. */
  int32_t (*prepare)(void* context, const kvcast_shape* shape, kvcast_device_cache* cache);
  /* As kvcast_sink's; may be NULL. After layer_ready a kernel on any stream sees the layer. */
  void (*tokens_known)(void* context, const uint32_t* ids, size_t count);
  void (*chunk_ready)(void* context, uint64_t token_begin, uint64_t token_end);
  void (*layer_ready)(void* context, uint32_t layer);
} kvcast_device_sink;

/* Allocates what plays on the device need, once; replaces what an earlier call did. KVCAST_IO: no
 * such device, or no memory; kvcast_error says what to do. `params` may be NULL. */
kvcast_status kvcast_use_device(kvcast_player* player, const kvcast_device_params* params);

/* As kvcast_play. What `recompute` is given has NULL as the prefix's data: that KV is in the
 * device's cache. Its results are in host memory, and copied. */
kvcast_status kvcast_play_device(kvcast_player* player, const kvcast_params* params,
                                 const kvcast_device_sink* sink, const kvcast_recompute* recompute);

/* From any thread, callbacks included: the play under way, or else the next one, returns
 * KVCAST_CANCELLED soon. */
void kvcast_cancel(kvcast_player* player);

/* Of the latest play; "" when there is none. Valid until the next play or kvcast_free. */
const char* kvcast_report_json(const kvcast_player* player);
const char* kvcast_error(const kvcast_player* player);

/* No play may be under way. NULL is ignored. */
void kvcast_free(kvcast_player* player);

#ifdef __cplusplus
}
#endif

#endif /* KVCAST_H_ */
