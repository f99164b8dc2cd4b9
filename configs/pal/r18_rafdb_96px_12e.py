# CPU-sized: 96 px, batch 64, 12 epochs, no pretrained weights; otherwise as r18_rafdb.py, and as the baseline's twin.
# The tapped map has 3 x 3 cells.
_base_ = './r18_rafdb.py'
model = dict(pretrained=None)
data_preprocessor = dict(size=96)
train_dataloader = dict(batch_size=64)
train_cfg = dict(max_epochs=12)
