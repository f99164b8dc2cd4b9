# CPU-sized: 96 px, batch 64, 12 epochs, no pretrained weights; otherwise the published setting.
_base_ = './r18_rafdb.py'
model = dict(pretrained=None)
data_preprocessor = dict(size=96)
train_dataloader = dict(batch_size=64)
train_cfg = dict(max_epochs=12)
