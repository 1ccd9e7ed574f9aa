"""What a recipe teaches: one point's metres, all tasks at once, or the questions of VLM3."""

from __future__ import annotations

from dataclasses import dataclass

_PUBLISHED = "what the paper publishes: AdamW, cosine, warm-up 0.1, clip 0.1, bf16"
_RECORDS = 'records (README, "Your data") listed in data/dataset_info.json as {dataset}.'
_TRAINING_DATA = "depthlm_train"


@dataclass(frozen=True)
class Subject:
    """What is taught; texts may hold {placeholders} of the writer.

    Attributes:
        title: First lines of the recipe, for LoRA; empty for the usual ones of each method.
        data: Lines on where data come from; {dataset} are the names.
        often: What is often given on the command line.
        run: Arguments of the first command.
        block: Lines of the block after the crop.
        dataset: Names of the training data.
        tokens_note: Comment on `cutoff_len`; {tokens} are the image tokens of the {largest} sample.
        tower_note: Comment on training the vision tower, lines.
        training_note: What is published of the training.
        epochs_note: Comment on `num_train_epochs`.
        max_grad_norm: Where gradients are clipped.
        metric: What picks the best model.
        images: Most views a sample.
        questions: Most questions a sample.
    """

    title: tuple[str, ...] = ()
    data: tuple[str, ...] = (_RECORDS,)
    often: str = "model_name_or_path=DIR  dataset=a,b  dataset_dir=DIR  depthlm.focal_px={focal_px}"
    run: str = ""
    block: tuple[str, ...] = ("  prompt: official",)
    dataset: str = _TRAINING_DATA
    tokens_note: str = "{largest} {tokens} image tokens; the default is 2048"
    tower_note: tuple[str, ...] = (
        "LoRA there too: the paper trains all of the model, and the tower must",
        "learn to keep a mark of five pixels. LLaMA-Factory freezes it.",
    )
    training_note: str = _PUBLISHED
    epochs_note: str = "the paper never repeats a sample"
    max_grad_norm: float = 0.1
    metric: str = "delta1"
    images: int = 1
    questions: int = 1


DEPTH = Subject()

MULTITASK = Subject(
    title=(
        "Trains one {base} for every task: depth, z, speed, time, distance of two points, which is"
        " nearer,",
        "and for pairs of pictures how far and where the camera moved and where a point is again.",
    ),
    data=(
        _RECORDS + " Tasks about two",
        'pictures are asked where records have "pose" and "scene" (depthlm curate writes them).',
    ),
    often="model_name_or_path=DIR  dataset=a,b  dataset_dir=DIR  depthlm.tasks.speed=2",
    block=(
        "  prompt: official",
        "  tasks:                       # weights; the paper does not publish its own",
        "    depth: 1",
        "    principal_axis_distance: 1",
        "    speed: 1",
        "    time: 1",
        "    two_point_distance: 1",
        "    camera_translation: 1",
        "    relative_pose: 1",
        "    depth_order: 0.5",
        "    point_correspondence: 0.5",
    ),
    tokens_note="two of the largest crops take {tokens} image tokens; the default is 2048",
    metric="score",
    images=2,
)

VLM3 = Subject(
    title=(
        "Trains {base} as VLM3 does (arXiv 2605.30561), with LoRA instead of all weights:"
        " coordinates in the text,",
        "ten questions an image, the published mixture of datasets. Nothing is drawn into the"
        " image.",
    ),
    data=(
        "depthlm curate argoverse2, waymo, nuscenes, scannetpp, taskonomy, hm3d, matterport3d; any"
        " of them, under",
        "names that begin so, in data/dataset_info.json. Other names need weights of their own"
        " (README).",
    ),
    often="model_name_or_path=DIR  dataset_dir=DIR  depthlm.questions_per_image=4",
    run=" dataset=hm3d,taskonomy",
    block=(
        "  reference: text              # coordinates from 0 to 2000 over the crop's width and"
        " height",
        "  questions_per_image: 10",
        "  prompt: plain                # VLM3's own words are not published",
        "  mixture: vlm3                # Argoverse2 .21, Waymo .04, nuScenes .01, ScanNet++ .01,"
        " Taskonomy .51, HM3D .78,",
        "                               # Matterport3D .006",
    ),
    dataset=(
        "argoverse2_train,waymo_training,nuscenes_train,scannetpp_train,taskonomy_train,hm3d_train,"
        "matterport3d_train"
    ),
    tokens_note="the largest crop takes {tokens} image tokens, ten questions about 600",
    tower_note=("LoRA there too, as in depthlm_qwen_lora.yaml",),
    training_note="published: lr 5.5e-5 for all weights, batch 1344, warm-up 0.1, clip 0.02",
    epochs_note="",
    max_grad_norm=0.02,
    questions=10,
)
