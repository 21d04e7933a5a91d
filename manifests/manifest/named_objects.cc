#include "manifests/named_objects.h"

namespace kvcast::manifests {

std::vector<ObjectRef> objects_of(const Manifest& manifest) {
  std::vector<ObjectRef> objects{manifest.profile};
  if (manifest.text && manifest.text->object) objects.push_back(*manifest.text->object);
  for (const ChunkEntry& chunk : manifest.chunks) {
    objects.insert(objects.end(), chunk.planes.begin(), chunk.planes.end());
    if (chunk.exact) objects.push_back(*chunk.exact);
  }
  return objects;
}

}  // namespace kvcast::manifests
