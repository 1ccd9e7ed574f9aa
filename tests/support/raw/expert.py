"""Pictures without depth, and tiny random experts of transformers' own classes and processors."""

import json
import warnings

from PIL import Image

from support.scene import POSES, Pinhole, picture

ROOM = Pinhole(152.0, 148.0, 95.0, 80.0, 200, 150)
MODEL = "expert"
FOV_DEG = 60.0  # which a random Depth Pro predicts of every picture


def _dinov2(image_size):
    from transformers import Dinov2Config

    return Dinov2Config(
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=image_size,
        patch_size=14,
        out_features=["stage1", "stage2", "stage3", "stage4"],
        reshape_hidden_states=False,
        apply_layernorm=True,
    )


def depth_anything(**changes):
    from transformers import (
        DepthAnythingConfig,
        DepthAnythingForDepthEstimation,
        DPTImageProcessor,
    )

    settings = {"depth_estimation_type": "metric", "max_depth": 10} | changes
    config = DepthAnythingConfig(
        backbone_config=_dinov2(70),
        reassemble_hidden_size=16,
        neck_hidden_sizes=[8, 8, 16, 16],
        fusion_hidden_size=8,
        head_hidden_size=8,
        **settings,
    )
    processor = DPTImageProcessor(
        size={"height": 70, "width": 70},
        keep_aspect_ratio=True,
        ensure_multiple_of=14,
        image_mean=[0.485, 0.456, 0.406],
        image_std=[0.229, 0.224, 0.225],
    )
    return DepthAnythingForDepthEstimation, config, processor


def zoedepth(**changes):
    from transformers import BeitConfig, ZoeDepthConfig, ZoeDepthForDepthEstimation
    from transformers.models.zoedepth import ZoeDepthImageProcessor

    backbone = BeitConfig(
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=64,
        patch_size=16,
        use_relative_position_bias=True,
        reshape_hidden_states=False,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    config = ZoeDepthConfig(
        backbone_config=backbone,
        neck_hidden_sizes=[8, 8, 16, 16],
        fusion_hidden_size=8,
        bottleneck_features=8,
        num_relative_features=8,
        bin_embedding_dim=8,
        num_attractors=[4, 2, 2, 1],
        num_patch_transformer_layers=4,
        **{
            "patch_transformer_hidden_size": 8,
            "patch_transformer_intermediate_size": 16,
            "patch_transformer_num_attention_heads": 2,
        }
        | changes,
    )
    processor = ZoeDepthImageProcessor(
        size={"height": 64, "width": 96}, keep_aspect_ratio=True, ensure_multiple_of=32
    )
    return ZoeDepthForDepthEstimation, config, processor


def depth_pro(**changes):
    from transformers import (
        DepthProConfig,
        DepthProForDepthEstimation,
        DepthProImageProcessor,
        Dinov2Config,
    )

    encoder = Dinov2Config(
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=16,
        patch_size=4,
    ).to_dict()
    config = DepthProConfig(
        patch_size=16,
        fusion_hidden_size=16,
        intermediate_hook_ids=[3, 1],
        intermediate_feature_dims=[16, 16],
        scaled_images_ratios=[0.25, 0.5, 1],
        scaled_images_overlap_ratios=[0.0, 0.5, 0.25],
        scaled_images_feature_dims=[16, 16, 16],
        image_model_config=encoder,
        patch_model_config=encoder,
        fov_model_config=encoder,
        **{"use_fov_model": True, "num_fov_head_layers": 2} | changes,
    )
    return (
        DepthProForDepthEstimation,
        config,
        DepthProImageProcessor(size={"height": 64, "width": 64}),
    )


def save_expert(folder, make=depth_anything, seed=0, far=False, **changes):
    """Write a random model, whose depths vary over a picture, and its processor.

    A `far` Depth Anything sees much at its largest depth, a Depth Pro at about 1 km.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch and transformers, when they are first imported
        import torch

        kind, config, processor = make(**changes)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        model = kind(config).eval()
        for weights in model.parameters():
            if weights.dim() > 1:
                weights.normal_(0, (weights[0].numel()) ** -0.5)
        if getattr(model, "fov_model", None) is not None:
            last = model.fov_model.head.layers[-1]
            last.weight.zero_()
            last.bias.fill_(FOV_DEG)
        if make is depth_pro:  # a positive inverse depth everywhere
            last = model.head.layers[-2]
            last.weight.mul_(0.1 * (0.0025 if far else 1))
            last.bias.fill_(0.3 * (0.0025 if far else 1))
        elif far:
            model.head.conv3.weight.mul_(30)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def write_pictures(root, pinhole=ROOM, cameras=True):
    """Write rgb/N.png of the room and, for all of them, cameras.json."""
    (root / "rgb").mkdir(parents=True)
    for number, pose in enumerate(POSES):
        Image.fromarray(picture(pinhole, pose)).save(root / "rgb" / f"{number}.png")
    if cameras:
        camera = {"fx": pinhole.fx, "fy": pinhole.fy, "cx": pinhole.cx, "cy": pinhole.cy}
        (root / "cameras.json").write_text(json.dumps({"*": camera}))


def write_expert(root):
    write_pictures(root)
    save_expert(root / MODEL)


FIXTURES = {"expert": (write_expert, ["--option", f"model={MODEL}"])}
