/* Loads a context's KV cache into memory of its own before a deadline: load_kv MANIFEST_URL SLO_MS */
#include <stdio.h>
#include <stdlib.h>

#include "player/kvcast.h"

enum { MAX_LAYERS = 1024 };

typedef struct {
  kvcast_shape shape;
  void* tensors[MAX_LAYERS][2];
  unsigned ready;
} cache;

static int32_t prepare(void* context, const kvcast_shape* shape) {
  ((cache*)context)->shape = *shape;
  return shape->layers <= MAX_LAYERS ? 0 : 1;
}

static int32_t destination(void* context, uint32_t layer, uint32_t side, kvcast_tensor* tensor) {
  cache* self = context;
  const kvcast_shape* shape = &self->shape;
  size_t heads = side == KVCAST_KEY ? shape->key_heads : shape->value_heads;
  size_t dim = side == KVCAST_KEY ? shape->key_dim : shape->value_dim;
  tensor->token_stride_bytes = heads * dim * (shape->dtype == KVCAST_F32 ? 4 : 2);
  tensor->data = malloc(tensor->token_stride_bytes * shape->tokens + 1);
  self->tensors[layer][side] = tensor->data;
  return tensor->data ? 0 : 1;
}

static void layer_ready(void* context, uint32_t layer) {
  (void)layer; /* an engine would start on it now */
  ((cache*)context)->ready++;
}

int main(int argc, char** argv) {
  static cache kv;
  kvcast_source source = {sizeof(source), NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0};
  kvcast_sink sink = {sizeof(sink), &kv, prepare, destination, NULL, NULL, NULL, layer_ready};
  kvcast_params params;
  kvcast_player* player;
  if (argc != 3) return 2;
  source.manifest_url = argv[1];
  kvcast_params_init(&params, sizeof(params));
  params.ttft_slo_ms = atof(argv[2]);
  kvcast_status status = kvcast_open(&source, &player);
  if (status == KVCAST_OK) status = kvcast_play(player, &params, &sink, NULL);
  if (status == KVCAST_OK) {
    printf("%s\n", kvcast_report_json(player));
    printf("%u of %u layers ready\n", kv.ready, (unsigned)kv.shape.layers);
  } else if (player) {
    fprintf(stderr, "load_kv: %s\n", kvcast_error(player));
  }
  kvcast_free(player);
  for (int i = 0; i < MAX_LAYERS; ++i) free(kv.tensors[i][0]), free(kv.tensors[i][1]);
  return status;
}
