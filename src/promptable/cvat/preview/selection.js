// The function's rules for choosing detections (promptable/models/detection/selection.py and pieces.py, serving's
// items.py), operation by operation: numbers here are the double precision that it computes in, and scores, thresholds
// and answered boxes are rounded to float32 where it rounds them. A change on one side is a change on both.

/** The function's candidates for a picture, as `wire.candidates` sends them, made ready for `select`. */
function prepare(candidates) {
  const { boxes, scores, ...rest } = candidates.proposals;
  const masks = new Map(candidates.masks.map((mask) => [mask.box.map(Math.fround).join(), mask]));
  const proposals = boxes.map((box, i) => ({
    box: box.map(Math.fround),
    score: Math.fround(scores[i]),
    label: rest.labels[i],
    caption: rest.captions[i],
    cut: rest.cut[i].map(Boolean),
    beyond: Boolean(rest.beyond_overlap[i]),
  }));
  return { ...candidates, proposals, masks };
}

/** What the function answers at these thresholds, one a label: items {label, type, score, review, box?, mask?}. */
function select(candidates, thresholds) {
  const { hw: [height, width], labels, rules } = candidates;
  const clip = (box) => box.map((x, side) => Math.min(Math.max(x, 0), side % 2 ? height : width));
  const accepted = candidates.proposals
    .filter((one) => one.score >= Math.fround(thresholds[one.label]) && area(clip(one.box)) > 0)
    .sort((a, b) => b.score - a.score);
  const boxes = joinPieces(accepted, rules).map((one) => ({ ...one, box: clip(one.box) }));
  for (const one of boxes) {
    one.shape = labels[one.label].type !== "tag";
    one.area = area(one.box);
    one.fits = one.area <= labels[one.label].max_area * height * width;
  }
  const wholes = boxes.filter((one) => one.fits && one.shape && !one.beyond);
  const kept = boxes.filter((one) => one.fits && !(one.beyond && isPart(one, wholes, rules)));
  let shapes = 0;
  const found = suppressed(kept, rules).filter((one) => !one.shape || ++shapes <= rules.limit);
  return items(found, candidates);
}

const area = (box) => Math.max(box[2] - box[0], 0) * Math.max(box[3] - box[1], 0);

function overlap(a, b) {
  const shared = (side) => Math.max(Math.min(a[side + 2], b[side + 2]) - Math.max(a[side], b[side]), 0);
  return [shared(0), shared(1)];
}

function suppressed(boxes, rules) {
  let kept = [...boxes].sort((a, b) => b.score - a.score);
  kept = best(kept, rules.nms_iou, (a, b) => a.label === b.label);
  kept = best(kept, rules.same_object, (a, b) => a.shape && b.shape && a.caption !== b.caption);
  return rules.cross_label_iou < 1 ? best(kept, rules.cross_label_iou, (a, b) => a.shape && b.shape) : kept;
}

/** Of boxes, given best first, those that overlap by no more than an IoU of `most` with a rival kept before them. */
function best(boxes, most, areRivals) {
  const kept = [];
  for (const one of boxes) {
    if (!kept.some((other) => areRivals(other, one) && iou(other, one) > most)) kept.push(one);
  }
  return kept;
}

function iou(a, b) {
  const [w, h] = overlap(a.box, b.box);
  return (w * h) / (a.area + b.area - w * h);
}

function isPart(one, wholes, rules) {
  return wholes.some((whole) => {
    const [w, h] = overlap(one.box, whole.box);
    return w * h >= rules.part_inside * one.area && one.area <= rules.part_area * whole.area;
  });
}

/** Pieces of objects that edges of tiles cut, joined across the seams; what still ends at a seam is dropped. */
function joinPieces(proposals, rules) {
  const isCut = (one) => one.cut.some(Boolean);
  const wholes = proposals.filter((one) => !isCut(one));
  const pieces = proposals.filter(
    (one) => isCut(one) && !wholes.some((whole) => whole.label === one.label && liesInside(one, whole, rules)),
  );
  return [...wholes, ...groups(pieces, rules).map(union).filter((one) => !isCut(one))];
}

function liesInside(piece, whole, rules) {
  const [w, h] = overlap(piece.box, whole.box);
  const [x1, y1, x2, y2] = piece.box;
  return (w * h) / ((x2 - x1) * (y2 - y1)) >= rules.inside;
}

function groups(pieces, rules) {
  const left = new Set(pieces.keys());
  const found = [];
  while (left.size) {
    const group = new Set([Math.min(...left)]);
    for (const i of group) {
      for (const j of left) if (touch(pieces[i], pieces[j], rules) || touch(pieces[j], pieces[i], rules)) group.add(j);
    }
    for (const i of group) left.delete(i);
    found.push([...group].sort((a, b) => a - b).map((i) => pieces[i]));
  }
  return found;
}

/** Whether `a` goes on in `b` beyond its right or bottom edge: one label, facing cuts, and alike along the seam. */
function touch(a, b, rules) {
  const shared = overlap(a.box, b.box);
  if (a.label !== b.label || !(shared[0] > 0 && shared[1] > 0)) return false;
  const side = (one, axis) => one.box[axis + 2] - one.box[axis];
  const extent = [0, 1].map((axis) => shared[axis] / (side(a, axis) + side(b, axis) - shared[axis]));
  return [0, 1].some((axis) => a.cut[axis + 2] && b.cut[axis] && extent[1 - axis] >= rules.same_extent);
}

function union(group) {
  const strongest = group.reduce((a, b) => (b.score > a.score ? b : a));
  const outermost = [0, 1, 2, 3].map((side) => {
    const outward = (one) => (side < 2 ? -one.box[side] : one.box[side]);
    return group.reduce((a, b) => (outward(b) > outward(a) ? b : a));
  });
  return {
    ...strongest,
    box: outermost.map((one, side) => one.box[side]),
    cut: outermost.map((one, side) => one.cut[side]),
    beyond: true,
  };
}

/** Items as they are answered, strongest first; the tags of the frame come last, each once. */
function items(found, { labels, masks, rules }) {
  const tagged = new Set();
  const item = (one) => {
    const { name, type } = labels[one.label];
    const box = one.box.map(Math.fround);
    const mask = type === "mask" || type === "polygon" ? masks.get(box.join()) : undefined;
    const review = one.score < rules.review_threshold || Boolean(mask?.filled);
    return { label: name, type, score: one.score, review, ...(one.shape ? { box, mask } : {}) };
  };
  const shapes = found.filter((one) => one.shape).map(item);
  const tags = found.filter((one) => !one.shape && !tagged.has(one.label) && tagged.add(one.label)).map(item);
  const all = [...shapes, ...tags];
  const marking = labels.find((label) => label.marks === "review");
  const doubtful = all.filter((one) => one.review).map((one) => one.score);
  if (!marking || !doubtful.length) return all;
  return [...all, { label: marking.name, type: "tag", score: Math.min(...doubtful), review: false }];
}
