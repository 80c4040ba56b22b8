"""Networks that judge images: style, subject, text and taste, as numbers of the literature.

They are independent of the model that generates images. `weights` knows their files, and needs no
torch; the other modules load them and compute.

USO-Bench (Wu et al. 2025, arXiv 2508.18966, section 4.1) measures the subject by CLIP-I and DINO
and the text by CLIP-T, "following" UNO, and the style by CSD. Its own evaluation code is not
published. The definitions here are those of UNO's evaluation scripts
(github.com/bytedance/UNO, `eval/evaluate_clip_dino_score_single_subject.py`) and of CSD's model
(github.com/learn2phoenix/CSD, `CSD/model.py`).
"""
